/**
 * What on a node would hurt: facts of the machine, its network and the agent are read once, checks are pure functions on
 * them, each finding has a remedy. It changes nothing and needs no running agent. Rules of others (`foreign/`) are
 * counted here, and for the agent by `@sluice/doctor/foreign`. Begin with `examine.ts`.
 */
export { diagnosisLines, diagnosisText, hasErrors } from './diagnosis-text.ts';
export { type ExamineNodeOptions, type ExamineOptions, examineMachine, examineNode } from './examine.ts';
export type { AgentFacts } from './facts/agent-facts.ts';
export { countIpvs, findRivals, listenersAt } from './facts/network-facts.ts';
export type { Check, Complaint, Diagnosis, Finding, Severity } from './finding.ts';
export { type NodeSettings, nodeSettingsDefault } from './node-settings.ts';
