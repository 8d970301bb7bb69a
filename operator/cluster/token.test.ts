/** The token of the admin API gets lost, is changed, and is asked to be another one: it heals without a hand. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ANNOTATIONS } from '../api/raft-cluster.ts'
import { tokenIn } from './resources/admin-token.ts'
import { assertSettledAt, condition, converge, formed, look, reasonOf, rounds } from './testing/convergence.ts'
import type { World } from './testing/world.ts'

const SECRET = 'kv-admin-token'
const PODS = ['kv-0', 'kv-1', 'kv-2']
const token = (world: World): string => tokenIn(world.get('Secret', SECRET))

test('the Secret is deleted, or emptied: there is a new token, which running members may see', async () => {
  const world = await formed()
  const first = token(world)
  assert.notEqual(first, '')
  world.objects.delete(`Secret/${SECRET}`)
  await look(world)
  const second = token(world)
  assert.ok(second !== '' && second !== first)
  const secret = world.get('Secret', SECRET)
  assert.notEqual(secret?.['immutable'], true, 'the kubelet does not look at those again')
  assert.ok(secret !== undefined)
  world.put({ ...secret, data: {} })
  await look(world)
  assert.notEqual(token(world), '')
  const third = token(world)
  await rounds(world, 5)
  assert.equal(token(world), third, 'it stays')
})

test('members that have the old token for a while: what they refuse is said and repeated, and nothing is lost', async () => {
  const world = await formed()
  for (const pod of PODS) world.refusingToken.add(pod)
  world.edit({ replicas: 5 })
  await rounds(world, 20)
  assert.match(reasonOf(world, 'Degraded'), /^TokenRefused: Unauthorized: .*within about a minute/)
  assert.equal(world.cluster.members.length, 3)
  world.refusingToken.clear()
  await converge(world)
  assertSettledAt(world, 5)
})

test('a leader that never learns the token is restarted last, without being asked', async () => {
  const world = await formed()
  for (const pod of PODS) world.refusingToken.add(pod)
  const leader = world.cluster.members.find(({ id }) => id === world.cluster.leader)?.name
  world.annotate({ [ANNOTATIONS.restartedAt]: '1' })
  await rounds(world, 60)
  assert.deepEqual([...world.refusingToken], [leader])
  await rounds(world, 180)
  assert.equal(world.restarts.at(-1), leader)
  assert.deepEqual([...world.refusingToken], [])
  await converge(world)
  assert.equal(condition(world, 'UpToDate'), 'True')
})

test('another token is asked for: once for each value', async () => {
  const world = await formed()
  const first = token(world)
  world.annotate({ [ANNOTATIONS.rotateAdminToken]: '2030-01-01' })
  await look(world)
  const second = token(world)
  assert.notEqual(second, first)
  await rounds(world, 5)
  assert.equal(token(world), second)
  world.annotate({ [ANNOTATIONS.rotateAdminToken]: '2030-02-01' })
  await look(world)
  assert.notEqual(token(world), second)
})
