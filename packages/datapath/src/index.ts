/**
 * Our own objects, loaded, attached and pinned, and their maps with types.
 */
export * from './generated/index.ts';
