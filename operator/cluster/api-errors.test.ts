/** Calls to the API server that fail: what was observed is in status, the failure is named, members are looked after. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KubeError } from './ports.ts'
import { condition, formed, look, reasonOf, rounds } from './testing/looking.ts'
import type { ApiCall } from './testing/world.ts'

const WEBHOOK =
  'PATCH /apis/apps/v1/namespaces/ns/statefulsets/kv: Internal error occurred: failed calling webhook "policy.example.com": failed to call webhook: Post "https://policy.kube-system.svc:443/validate?timeout=10s": dial tcp 10.96.0.7:443: connect: connection refused'
const AFFINITY =
  'PATCH /apis/apps/v1/namespaces/ns/statefulsets/kv: failed to create typed patch object: .spec.template.spec.affinity.nodeAffinity: field not declared in schema'
const unavailable = (message: string): KubeError => new KubeError({ kind: 'unavailable', message })
const isApplyOf =
  (kind: string) =>
  (call: ApiCall): boolean =>
    call.verb === 'apply' && call.kind === kind

test('the service of a webhook for StatefulSets is away while all pods are deleted: the status says both', async () => {
  const world = await formed()
  const isRefused = isApplyOf('StatefulSet')
  world.answer = (call) => (isRefused(call) ? unavailable(WEBHOOK) : undefined)
  world.edit({ podTemplate: { priorityClassName: 'high' } })
  await look(world)
  for (const ordinal of [0, 1, 2]) world.killPod(ordinal)
  await look(world)
  assert.equal(condition(world, 'Ready'), 'False')
  assert.equal(condition(world, 'QuorumLost'), 'True')
  assert.equal(world.status()['readyReplicas'], 0)
  assert.match(reasonOf(world, 'Degraded'), /^ApiServerRefused: StatefulSet kv .*since 2030-.*failed calling webhook/)
  world.answer = () => undefined
  await rounds(world, 20)
  assert.equal(condition(world, 'Ready'), 'True')
  assert.equal(condition(world, 'Degraded'), 'False')
})

test('an affinity that the API server answers with a 500: a lost member is replaced all the same', async () => {
  const world = await formed()
  const isRefused = isApplyOf('StatefulSet')
  world.answer = (call) => (isRefused(call) ? unavailable(AFFINITY) : undefined)
  world.edit({ podTemplate: { affinity: { nodeAffinity: 'none' } } })
  const lost = world.cluster.members.find(({ name }) => name === 'kv-1')?.id
  world.loseVolume(1)
  await rounds(world, 20)
  assert(!world.cluster.voters.includes(lost ?? ''))
  assert.equal(world.cluster.voters.length, 3)
  assert.equal(condition(world, 'Available'), 'True')
  assert.match(reasonOf(world, 'Degraded'), /^ApiServerRefused: StatefulSet kv .*field not declared in schema/)
})
