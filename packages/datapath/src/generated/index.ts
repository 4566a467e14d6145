// Generated from bpf/ by "npm run generate": do not edit.

export * from './configuration.ts';
export * from './enums.ts';
export * from './maps.ts';
export * from './structs.ts';
