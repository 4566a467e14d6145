/** A small in-process API server for tests, with every fault that a real one has had. */
export { testCertificates } from './certificates.ts';
export { FakeApi, type FakeApiOptions, type FakeRequest, type Fault, sendStatus } from './fake-api.ts';
export { FakeStore, type PlainObject } from './fake-store.ts';
