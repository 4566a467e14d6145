/** Node's flags for a small process; whoever starts one passes them before the script. */
export const recommendedNodeFlags = [
  '--max-semi-space-size=1',
  '--optimize-for-size',
  '--max-old-space-size=400',
  '--disable-wasm-trap-handler',
] as const;

/** What goes with the flags: glibc's arena for each thread costs 2 to 4 MiB, and our threads hardly allocate. */
export const recommendedEnvironment = { MALLOC_ARENA_MAX: '1' } as const;
