/** Small decisions of the controllers: budgets, scheduling, claims in use, selectors, endpoints. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpointsOf } from '../client/endpoint.ts'
import type { Metadata, StoredObject } from '../client/object.ts'
import { Selector, matches } from '../client/selector.ts'
import { countBudget } from './disruption-budgets.ts'
import { endpointsObjectOf, sliceOf } from './endpoints.ts'
import { chooseNode } from './scheduler.ts'
import { isClaimInUse } from './volumes.ts'

function object(
  name: string,
  fields: Readonly<Record<string, unknown>>,
  metadata: Partial<Metadata> = {},
): StoredObject {
  return { apiVersion: 'v1', kind: 'X', metadata: { name, uid: name, resourceVersion: '1', ...metadata }, ...fields }
}

test('a budget by number counts the pods that are there, one by share those that are wanted', () => {
  const cases = [
    [{ minAvailable: 2 }, 3, 3, 3, 1],
    [{ minAvailable: 2 }, 2, 3, 3, 0],
    [{ minAvailable: 2 }, 1, 1, 3, 0],
    [{ minAvailable: '50%' }, 3, 3, 3, 1],
    [{ maxUnavailable: 1 }, 3, 3, 3, 1],
    [{ maxUnavailable: 1 }, 2, 2, 3, 0],
    [{ maxUnavailable: '34%' }, 3, 3, 3, 2],
    [{}, 3, 3, 3, 2],
    [{ minAvailable: 0 }, 0, 0, 0, 0],
  ] as const
  for (const [spec, healthy, total, scale, allowed] of cases) {
    assert.equal(countBudget(spec, healthy, total, scale).disruptionsAllowed, allowed, JSON.stringify(spec))
  }
})

test('a pod goes to the emptiest node that takes pods, and to none when all are cordoned', () => {
  const nodes = [object('a', {}), object('b', {}), object('c', { spec: { unschedulable: true } })]
  const on = (nodeName: string): StoredObject => object('p', { spec: { nodeName } })
  assert.equal(chooseNode(nodes, [on('a')]), 'b')
  assert.equal(chooseNode(nodes, [on('a'), on('b')]), 'a')
  assert.equal(chooseNode(nodes.slice(2), []), undefined)
})

test('a claim is in use by a pod that has not ended, even one that is being deleted', () => {
  const pod = (phase: string, metadata: Partial<Metadata> = {}): StoredObject =>
    object('p', { spec: { volumes: [{ persistentVolumeClaim: { claimName: 'c' } }] }, status: { phase } }, metadata)
  assert.equal(isClaimInUse('c', [pod('Running')]), true)
  assert.equal(isClaimInUse('c', [pod('Running', { deletionTimestamp: '2026-01-01T00:00:00Z' })]), true)
  assert.equal(isClaimInUse('c', [pod('Succeeded')]), false)
  assert.equal(isClaimInUse('d', [pod('Running')]), false)
})

test('selectors: all labels and all expressions; none chooses nothing, an empty one everything', () => {
  const labels = { app: 'x', tier: 'db' }
  const chosen = (selector: unknown): boolean => matches(Selector.parse(selector), labels)
  assert.equal(matches(undefined, labels), false)
  assert.equal(chosen({}), true)
  assert.equal(chosen({ matchLabels: { app: 'x', other: 'y' } }), false)
  assert.equal(chosen({ matchExpressions: [{ key: 'tier', operator: 'In', values: ['db', 'web'] }] }), true)
  assert.equal(chosen({ matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['db'] }] }), false)
  assert.equal(chosen({ matchExpressions: [{ key: 'gone', operator: 'NotIn', values: ['db'] }] }), true)
  assert.equal(chosen({ matchExpressions: [{ key: 'gone', operator: 'Exists' }] }), false)
  assert.equal(chosen({ matchExpressions: [{ key: 'gone', operator: 'DoesNotExist' }] }), true)
})

const member = (name: string, podIP: string | undefined, isReady: boolean): StoredObject =>
  object(
    name,
    {
      spec: {
        hostname: name,
        subdomain: 'peers',
        containers: [{ ports: [{ name: 'client', containerPort: 2379 }] }],
      },
      status: { phase: 'Running', podIP, conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }] },
    },
    { namespace: 'n', labels: { app: 'x' } },
  )

function service(spec: Readonly<Record<string, unknown>>): StoredObject {
  return object(
    'peers',
    { spec: { ports: [{ name: 'client', port: 80, targetPort: 'client' }], ...spec } },
    { namespace: 'n' },
  )
}

test('pods that are not ready are named where the Service publishes them', () => {
  const pods = [member('m-0', '127.77.1.1', true), member('m-1', '127.77.1.2', false), member('m-2', undefined, false)]
  const ready = (spec: Readonly<Record<string, unknown>>): readonly string[] =>
    endpointsOf(service(spec), pods)
      .filter(({ isReady }) => isReady)
      .map(({ address }) => address)
  assert.deepEqual(ready({ selector: { app: 'x' } }), ['127.77.1.1'])
  assert.deepEqual(ready({ selector: { app: 'x' }, publishNotReadyAddresses: true }), ['127.77.1.1', '127.77.1.2'])
  assert.deepEqual(ready({}), [], 'without a selector its endpoints are somebody else’s')
})

test('a slice and the old Endpoints say the same', () => {
  const subject = service({ selector: { app: 'x' } })
  const found = endpointsOf(subject, [member('m-0', '127.77.1.1', true), member('m-1', '127.77.1.2', false)])
  const slice = sliceOf(subject, found)
  assert.deepEqual(slice['ports'], [{ name: 'client', port: 2379, protocol: 'TCP' }])
  assert.equal(slice.metadata.labels?.['kubernetes.io/service-name'], 'peers')
  const text = JSON.stringify(endpointsObjectOf(subject, found)['subsets'])
  assert.match(text, /"addresses":\[\{"ip":"127.77.1.1"/)
  assert.match(text, /"notReadyAddresses":\[\{"ip":"127.77.1.2"/)
})
