/**
 * What on a node would hurt: facts of the machine, its network and the agent are read once, checks are pure functions on
 * them, each finding has a remedy. It changes nothing and needs no running agent. Rules of others (`foreign/`) are
 * counted here for the agent, too. Begin with `examine.ts`.
 */
export { diagnosisLines, diagnosisText, hasErrors } from './diagnosis-text.ts';
export { type ExamineNodeOptions, type ExamineOptions, examineMachine, examineNode } from './examine.ts';
export type { AgentFacts } from './facts/agent-facts.ts';
export type { Check, Complaint, Diagnosis, Finding, Severity } from './finding.ts';
export { type ForeignRules, foreignRules } from './foreign/foreign-rules.ts';
export { type NodeSettings, nodeSettingsDefault } from './node-settings.ts';
