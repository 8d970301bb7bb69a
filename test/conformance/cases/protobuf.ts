/** What kubectl 1.32 sends in protobuf, as it was sent: `kubectl create …`, `kubectl auth can-i get pods`. */
import type { Case } from '../case.ts'
import { CONFIG_MAPS } from '../objects.ts'

const PROTOBUF = 'application/vnd.kubernetes.protobuf'
const CREATE = '?fieldManager=kubectl-create&fieldValidation=Strict'

interface Sent {
  readonly path: string
  readonly base64: string
}

const SENT: readonly Sent[] = [
  {
    path: `/api/v1/namespaces${CREATE}`,
    base64: 'azhzAAoPCgJ2MRIJTmFtZXNwYWNlEiQKHAoMZnJvbS1rdWJlY3RsEgAaACIAKgAyADgAQgASABoCCgAaACIA',
  },
  {
    path: `/api/v1/namespaces/default/configmaps${CREATE}`,
    base64: 'azhzAAoPCgJ2MRIJQ29uZmlnTWFwEjEKHAoMZnJvbS1rdWJlY3RsEgAaACIAKgAyADgAQgASCQoFZW1wdHkSABIGCgF4EgF5GgAiAA==',
  },
  {
    path: `/api/v1/namespaces/default/secrets${CREATE}`,
    base64: 'azhzAAoMCgJ2MRIGU2VjcmV0EigKHAoMZnJvbS1rdWJlY3RsEgAaACIAKgAyADgAQgASBgoBeBIBeRoAGgAiAA==',
  },
  {
    path: `/api/v1/namespaces/default/serviceaccounts${CREATE}`,
    base64: 'azhzAAoUCgJ2MRIOU2VydmljZUFjY291bnQSHgocCgxmcm9tLWt1YmVjdGwSABoAIgAqADIAOABCABoAIgA=',
  },
  {
    path: `/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings${CREATE}`,
    base64:
      'azhzAAorChxyYmFjLmF1dGhvcml6YXRpb24uazhzLmlvL3YxEgtSb2xlQmluZGluZxJsChwKDGZyb20ta3ViZWN0bBIAGgAiACoAMgA4AEIAEiYKBFVzZXISGXJiYWMuYXV0aG9yaXphdGlvbi5rOHMuaW8aAXUiABokChlyYmFjLmF1dGhvcml6YXRpb24uazhzLmlvEgRSb2xlGgFyGgAiAA==',
  },
  {
    path: `/api/v1/namespaces/default/services${CREATE}`,
    base64:
      'azhzAAoNCgJ2MRIHU2VydmljZRKEAQoxCgxmcm9tLWt1YmVjdGwSABoAIgAqADIAOABCAFoTCgNhcHASDGZyb20ta3ViZWN0bBJLChsKBzgwLTgwODASA1RDUBhQIgcIABCQPxoAKAASEwoDYXBwEgxmcm9tLWt1YmVjdGwaACIJQ2x1c3RlcklQOgBCAFIAWgBgAGgAGgIKABoAIgA=',
  },
  {
    path: `/api/v1/namespaces/default/services${CREATE}`,
    base64:
      'azhzAAoNCgJ2MRIHU2VydmljZRKEAQoxCgxmcm9tLWt1YmVjdGwSABoAIgAqADIAOABCAFoTCgNhcHASDGZyb20ta3ViZWN0bBJLChwKBjgwLXdlYhIDVENQGFAiCQgBEAAaA3dlYigAEhMKA2FwcBIMZnJvbS1rdWJlY3RsGgAiCE5vZGVQb3J0OgBCAFIAWgBgAGgAGgIKABoAIgA=',
  },
  {
    path: `/apis/policy/v1/namespaces/default/poddisruptionbudgets${CREATE}`,
    base64:
      'azhzAAogCglwb2xpY3kvdjESE1BvZERpc3J1cHRpb25CdWRnZXQSPgocCgxmcm9tLWt1YmVjdGwSABoAIgAqADIAOABCABISCgYIABABGgASCAoGCgFhEgFiGgoIABgAIAAoADAAGgAiAA==',
  },
  {
    path: `/apis/policy/v1/namespaces/default/poddisruptionbudgets${CREATE}`,
    base64:
      'azhzAAogCglwb2xpY3kvdjESE1BvZERpc3J1cHRpb25CdWRnZXQSRwoiChJmcm9tLWt1YmVjdGwtc2hhcmUSABoAIgAqADIAOABCABIVCgkIARAAGgM1MCUSCAoGCgFhEgFiGgoIABgAIAAoADAAGgAiAA==',
  },
  {
    path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
    base64:
      'azhzAAoyChdhdXRob3JpemF0aW9uLms4cy5pby92MRIXU2VsZlN1YmplY3RBY2Nlc3NSZXZpZXcSPAoQCgASABoAIgAqADIAOABCABIeChwKB2RlZmF1bHQSA2dldBoAIgAqBHBvZHMyADoAGggIABIAGgAgABoAIgA=',
  },
]

export const protobufCases: readonly Case[] = [
  {
    name: 'objects in protobuf, as kubectl sends them',
    run: async ({ send }) => {
      for (const { path, base64 } of SENT) {
        const body = Buffer.from(base64, 'base64')
        await send({ method: 'POST', path, body, contentType: PROTOBUF })
      }
    },
  },
  {
    name: 'bodies in protobuf that cannot be taken',
    run: async ({ send }) => {
      const body = Buffer.from(SENT[1]?.base64 ?? '', 'base64')
      const post = (path: string, bytes: Uint8Array): Promise<unknown> =>
        send({ method: 'POST', path, body: bytes, contentType: PROTOBUF })
      await post(CONFIG_MAPS, body.subarray(1))
      await post(CONFIG_MAPS, body.subarray(0, body.length - 8))
      await post('/api/v1/namespaces/default/secrets', body)
    },
  },
]
