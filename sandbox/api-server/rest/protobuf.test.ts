import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readDefinitions } from '../resources/built-in.ts'
import { decodeProtobuf } from './protobuf.ts'

const DEFINITIONS = readDefinitions()

/** `kubectl create deployment from-kubectl --image=x` of Kubernetes 1.32. */
const DEPLOYMENT = Buffer.from(
  'azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50EsgBCjEKDGZyb20ta3ViZWN0bBIAGgAiACoAMgA4AEIAWhMKA2FwcBIMZnJvbS1rdWJlY3RsEoQBCAESFQoTCgNhcHASDGZyb20ta3ViZWN0bBphCiUKABIAGgAiACoAMgA4AEIAWhMKA2FwcBIMZnJvbS1rdWJlY3RsEjgSGgoBeBIBeCoAQgBqAHIAgAEAiAEAkAEAogEAGgAyAEIASgBSAFgAYABoAIIBAIoBAJoBAMIBACICCgAoADgAGgwIABAAGAAgACgAOAAaACIA',
  'base64',
)
/** `kubectl create configmap from-kubectl --from-literal=x=y --from-literal=empty=` */
const CONFIG_MAP = Buffer.from(
  'azhzAAoPCgJ2MRIJQ29uZmlnTWFwEjEKHAoMZnJvbS1rdWJlY3RsEgAaACIAKgAyADgAQgASCQoFZW1wdHkSABIGCgF4EgF5GgAiAA==',
  'base64',
)

test('a deployment as kubectl sends it: what Go writes although nobody said it is not there', () => {
  const labels = { app: 'from-kubectl' }
  assert.deepEqual(decodeProtobuf(DEPLOYMENT, DEFINITIONS), {
    kind: 'object',
    object: {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'from-kubectl', labels },
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: 'x', image: 'x' }] } },
      },
    },
  })
})

test('an empty value of a map is a value', () => {
  const decoded = decodeProtobuf(CONFIG_MAP, DEFINITIONS)
  assert.ok(decoded.kind === 'object')
  assert.deepEqual(decoded.object['data'], { empty: '', x: 'y' })
})

test('a kind of which no fields are known is told apart from one that cannot be read', () => {
  const unknown = Buffer.from(CONFIG_MAP)
  unknown.write('Unheard', unknown.indexOf('ConfigMap'))
  assert.equal(decodeProtobuf(unknown, DEFINITIONS).kind, 'unknown')
  assert.equal(decodeProtobuf(CONFIG_MAP.subarray(1), DEFINITIONS).kind, 'broken')
})

test('a body that is cut off or damaged is answered, wherever it is', () => {
  for (let length = 0; length < DEPLOYMENT.length; length++) {
    decodeProtobuf(DEPLOYMENT.subarray(0, length), DEFINITIONS)
    for (let bit = 0; bit < 8; bit++) {
      const damaged = Buffer.from(DEPLOYMENT)
      damaged[length] = (damaged[length] ?? 0) ^ (1 << bit)
      decodeProtobuf(damaged, DEFINITIONS)
    }
  }
})
