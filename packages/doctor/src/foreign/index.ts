/** Rules of others in the caller's network namespace: apart from the rest, for the agent wants nothing else of it. */
export { type ForeignRules, foreignRules } from './foreign-rules.ts';
