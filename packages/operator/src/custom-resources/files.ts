import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { installationRoot } from '@sluice/runtime';
import { parse } from 'yaml';
import type { Definition } from './definitions.ts';

const folder = 'packages/operator/crds';

/** Kinds whose definitions people read and apply themselves, too: they are files of the installation. */
export function definitionFiles(root = installationRoot()): Definition[] {
  const paths = globSync(join(root, folder, '*.yaml')).sort();
  if (paths.length === 0)
    throw new Error(`${join(root, folder)} has no definition of a kind: the installation is not whole`);
  return paths.map((path) => readDefinition(path));
}

function readDefinition(path: string): Definition {
  const object: unknown = parse(readFileSync(path, 'utf8'));
  if (isDefinition(object)) return object;
  throw new Error(`${path} is no CustomResourceDefinition`);
}

function isDefinition(object: unknown): object is Definition {
  return typeof object === 'object' && object !== null && Reflect.get(object, 'kind') === 'CustomResourceDefinition';
}
