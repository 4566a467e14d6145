import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pathTemplate, resourcePath, resources } from './resource.ts';

test('the template of a path has no name of an object in it', () => {
  const templates = [
    ['/api/v1/nodes', '/api/v1/nodes'],
    ['/api/v1/nodes/k8s-cp1', '/api/v1/nodes/{name}'],
    ['/api/v1/nodes/k8s-cp1/status', '/api/v1/nodes/{name}/status'],
    ['/api/v1/namespaces/shop', '/api/v1/namespaces/{name}'],
    ['/api/v1/namespaces/shop/events', '/api/v1/namespaces/{namespace}/events'],
    ['/api/v1/namespaces/shop/pods/web-0/status', '/api/v1/namespaces/{namespace}/pods/{name}/status'],
    ['/apis/cilium.io/v2/ciliumidentities/4711', '/apis/cilium.io/v2/ciliumidentities/{name}'],
    ['/version', '/version'],
    ['/livez', '/livez'],
  ] as const;
  for (const [path, template] of templates) assert.equal(pathTemplate(path), template);
});

test('every kind of ours has a template of its own', () => {
  const names = { namespace: 'a-namespace', name: 'a-name' };
  const templates = Object.values(resources).map((resource) => pathTemplate(resourcePath(resource, names)));
  assert.equal(new Set(templates).size, templates.length);
  for (const template of templates) assert.match(template, /\{name\}$/);
});
