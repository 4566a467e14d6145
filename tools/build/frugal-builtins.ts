import type { Plugin } from 'esbuild';

/**
 * An `import` of one of Node's modules reads all that it exports, also what hides behind getters because it is dear: behind
 * `node:http` is WebSocket, thus undici and http2, 6 MiB and 80 ms for nothing (Node 26.10). Taken with getBuiltinModule, a
 * name is read when it is used.
 */
export const frugalBuiltins: Plugin = {
  name: 'frugal-builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: 'node' }));
    onLoad({ filter: /.*/, namespace: 'node' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule('${path}');`,
    }));
  },
};
