/** The Lease by which operators agree who leads. Its leader says there what it cannot do, for whoever asks the API server alone. */
export const operatorLease = { name: 'sluice-operator', problemAnnotation: 'sluice.io/problem' } as const;
