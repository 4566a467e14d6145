/**
 * The Helm values that Sluice takes, from YAML to one typed object: what is unknown or ill-typed is refused with its path
 * and line, and an option of the incumbent that we lack is accepted with a warning that says what happens instead. It
 * reads nothing but the values. Begin with `options.ts`, the table of all options.
 */
export { type ChartOption, chartOptions } from './chart/chart-options.ts';
export { valuesSchema } from './chart/schema.ts';
export { valuesFile } from './chart/values-file.ts';
export { describeOptions } from './describe.ts';
export { ConfigError, type ConfigProblem } from './error.ts';
export { lackedOptions } from './lacked.ts';
export { nearest } from './nearest.ts';
export { type Option, type OptionType, options } from './options.ts';
export { defaultValues, optionValue, parseValues, type ReadValues, readValues, type SluiceValues } from './values.ts';
