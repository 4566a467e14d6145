/** A kind of ours as the API server learns it. */
export interface Definition {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly versions: readonly { readonly name: string; readonly [field: string]: unknown }[];
    readonly [field: string]: unknown;
  };
}

const text = { type: 'string' };
const head = { apiVersion: text, kind: text, metadata: { type: 'object' } };
const age = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };

/** Named and shaped as the incumbent's, so that its tools read them and its objects are taken over. */
export const definitions: readonly Definition[] = [
  {
    metadata: { name: 'ciliumidentities.cilium.io' },
    spec: {
      group: 'cilium.io',
      scope: 'Cluster',
      names: {
        plural: 'ciliumidentities',
        singular: 'ciliumidentity',
        kind: 'CiliumIdentity',
        listKind: 'CiliumIdentityList',
        shortNames: ['ciliumid'],
        categories: ['cilium'],
      },
      versions: [
        {
          name: 'v2',
          served: true,
          storage: true,
          additionalPrinterColumns: [
            { name: 'Namespace', type: 'string', jsonPath: '.metadata.labels.io\\.kubernetes\\.pod\\.namespace' },
            age,
          ],
          schema: {
            openAPIV3Schema: {
              type: 'object',
              required: ['security-labels'],
              properties: { ...head, 'security-labels': { type: 'object', additionalProperties: text } },
            },
          },
        },
      ],
    },
  },
  {
    metadata: { name: 'ciliumendpointslices.cilium.io' },
    spec: {
      group: 'cilium.io',
      scope: 'Cluster',
      names: {
        plural: 'ciliumendpointslices',
        singular: 'ciliumendpointslice',
        kind: 'CiliumEndpointSlice',
        listKind: 'CiliumEndpointSliceList',
        shortNames: ['ces'],
        categories: ['cilium'],
      },
      versions: [
        {
          name: 'v2alpha1',
          served: true,
          storage: true,
          additionalPrinterColumns: [
            { name: 'Namespace', type: 'string', jsonPath: '.namespace' },
            { name: 'Node', type: 'string', jsonPath: '.metadata.ownerReferences[0].name' },
            age,
          ],
          schema: {
            openAPIV3Schema: {
              type: 'object',
              required: ['endpoints'],
              properties: { ...head, namespace: text, endpoints: { type: 'array', items: endpoint() } },
            },
          },
        },
      ],
    },
  },
];

function endpoint() {
  const address = { type: 'object', properties: { ipv4: text, ipv6: text } };
  const networking = {
    type: 'object',
    required: ['addressing'],
    properties: { addressing: { type: 'array', items: address }, node: text },
  };
  const namedPort = { type: 'object', properties: { name: text, port: { type: 'integer' }, protocol: text } };
  return {
    type: 'object',
    properties: {
      name: text,
      id: { type: 'integer', format: 'int64' },
      networking,
      encryption: { type: 'object', properties: { key: { type: 'integer' } } },
      'named-ports': { type: 'array', items: namedPort },
    },
  };
}
