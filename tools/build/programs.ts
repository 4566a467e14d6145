import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Freshness } from './freshness.ts';

/** Static C programs: they run in namespaces and roots of which nothing is known. */
const programs = [
  { name: 'sluice-cni', sources: ['packages/cni/c/*.c'], flags: [] },
  { name: 'sluice-launch', sources: ['packages/launcher/c/*.c'], flags: ['-D_GNU_SOURCE'] },
  { name: 'lab-pod', sources: ['lab/c/lab-pod.c', 'lab/c/lab-pod/*.c'], flags: ['-D_GNU_SOURCE'] },
  { name: 'lab-run', sources: ['lab/c/lab-run.c'], flags: ['-D_GNU_SOURCE'] },
  { name: 'bench-load', sources: ['bench/c/*.c', 'bench/c/bench-load/*.c'], flags: ['-D_GNU_SOURCE'] },
] as const;

const flagsOfAll = [
  ...['-std=gnu17', '-O2', '-static', '-Wall', '-Wextra', '-Werror'],
  ...['-ffunction-sections', '-fdata-sections', '-Wl,--gc-sections', '-s'],
];

/** Names under which lab-pod is found in the lab's pods. */
const podCommands = ['lab-pod', 'client', 'dns', 'echo', 'pause', 'resolve'];

export function buildPrograms(freshness: Freshness): void {
  const failed = programs.filter((program) => !buildProgram(freshness, program)).map(({ name }) => name);
  if (failed.length > 0) throw new Error(`clang-19 could not compile ${failed.join(', ')}`);
  mkdirSync('dist/pod', { recursive: true });
  for (const command of podCommands) linkTo('../bin/lab-pod', `dist/pod/${command}`);
}

function linkTo(target: string, path: string): void {
  if (existsSync(path) && readlinkSync(path) === target) return;
  rmSync(path, { force: true });
  symlinkSync(target, path);
}

function buildProgram(freshness: Freshness, program: (typeof programs)[number]): boolean {
  const output = `dist/bin/${program.name}`;
  const sources = globSync(program.sources).sort();
  if (sources.length === 0) return true;
  const options = [...flagsOfAll, ...program.flags];
  const recipe = ['clang-19', ...options, ...sources].join(' ');
  if (freshness.isFresh(output, recipe)) return true;
  console.log(`build: ${output}`);
  // The output may be running at this moment: it is replaced, never rewritten.
  const temporary = `${output}.${process.pid}.tmp`;
  try {
    execFileSync('clang-19', [...options, '-o', temporary, ...sources], { stdio: ['ignore', 'inherit', 'inherit'] });
    renameSync(temporary, output);
  } catch {
    return false; // the compiler has said why
  } finally {
    rmSync(temporary, { force: true });
  }
  freshness.record(output, recipe, [...sources, ...globSync(sources.flatMap(headersBeside))]);
  return true;
}

function headersBeside(source: string): string[] {
  return [...readFileSync(source, 'utf8').matchAll(/^#include "(.+)"/gm)]
    .map(([, path]) => join(dirname(source), path ?? ''))
    .filter((path) => existsSync(path));
}
