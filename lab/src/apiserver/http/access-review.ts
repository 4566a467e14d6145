import { noSuchPath } from '../api-error.ts';
import type { Json } from '../object.ts';
import { isObject } from '../schema/decode.ts';
import type { User } from './handler.ts';

/** `kubectl auth can-i` and `auth whoami`: whoever has a certificate may do everything in the lab. */
export function answerReview(plural: string, body: Json | undefined, user: User | undefined): object {
  const review = isObject(body) ? body : {};
  switch (plural) {
    case 'selfsubjectreviews':
      return {
        ...review,
        kind: 'SelfSubjectReview',
        apiVersion: 'authentication.k8s.io/v1',
        status: { userInfo: { username: user?.name, groups: [...(user?.groups ?? []), 'system:authenticated'] } },
      };
    case 'selfsubjectrulesreviews': {
      const everything = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] };
      return {
        ...review,
        status: {
          resourceRules: [everything],
          nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
          incomplete: false,
        },
      };
    }
    case 'selfsubjectaccessreviews':
    case 'subjectaccessreviews':
    case 'localsubjectaccessreviews':
      return { ...review, status: { allowed: true, reason: 'the lab grants everything to whoever has a certificate' } };
    default:
      throw noSuchPath();
  }
}
