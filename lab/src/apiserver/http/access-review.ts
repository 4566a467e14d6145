import type { Json } from '../object.ts';
import { isObject } from '../schema/decode.ts';
import type { User } from './handler.ts';

const kinds: Readonly<Record<string, string>> = {
  selfsubjectreviews: 'SelfSubjectReview',
  selfsubjectrulesreviews: 'SelfSubjectRulesReview',
  selfsubjectaccessreviews: 'SelfSubjectAccessReview',
  subjectaccessreviews: 'SubjectAccessReview',
  localsubjectaccessreviews: 'LocalSubjectAccessReview',
};

export function isReview(plural: string): boolean {
  return Object.hasOwn(kinds, plural);
}

/** `kubectl auth can-i` and `auth whoami`: whoever has a certificate may do everything in the lab. */
export function answerReview(
  { plural, group, version }: { plural: string; group: string; version: string },
  body: Json | undefined,
  user: User | undefined,
): object {
  const review = isObject(body) ? body : {};
  return {
    ...review,
    kind: kinds[plural],
    apiVersion: `${group}/${version}`,
    metadata: {},
    status: statusOf(plural, user),
  };
}

function statusOf(plural: string, user: User | undefined): object {
  if (plural === 'selfsubjectreviews')
    return { userInfo: { username: user?.name, groups: [...(user?.groups ?? []), 'system:authenticated'] } };
  if (plural === 'selfsubjectrulesreviews') {
    const everything = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] };
    return {
      resourceRules: [everything],
      nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
      incomplete: false,
    };
  }
  return { allowed: true, reason: 'the lab grants everything to whoever has a certificate' };
}
