import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseStatus } from '../api/status.ts'
import type { Look } from '../cluster/look.ts'
import { reconcile } from '../cluster/reconcile.ts'
import { converge, formed } from '../cluster/testing/convergence.ts'
import { KEY } from '../cluster/testing/objects.ts'
import { World } from '../cluster/testing/world.ts'
import { viewOf } from './view.ts'

async function lookAt(world: World): Promise<Look> {
  const looks: Look[] = []
  await reconcile({ ...world.deps({}), onLook: (look) => looks.push(look) }, KEY)
  const [look, ...more] = looks
  assert(look !== undefined && more.length === 0, 'a look is shown once')
  return look
}

test('a settled cluster: ready, and each member in its own words', async () => {
  const view = viewOf(await lookAt(await formed()), [])
  assert.deepEqual([view.health, view.state, view.why], ['good', 'Ready', ''])
  assert.deepEqual([view.readyReplicas, view.replicas, view.quorum], [3, 3, 2])
  assert.equal(view.operation, undefined)
  assert.deepEqual(
    view.members.map(({ name }) => name),
    ['kv-0', 'kv-1', 'kv-2'],
  )
  const leader = view.members.find(({ name }) => name === view.leader)
  assert.equal(leader?.role, 'leader')
  for (const { term, commitIndex, lag, version, remark } of view.members) {
    assert.equal(term, view.term)
    assert.ok(commitIndex !== undefined && lag !== undefined && version !== undefined)
    assert.equal(remark, '')
  }
})

test('what is under way is shown step by step, as far as it has come, with what it waits for', async () => {
  const world = await formed()
  world.edit({ replicas: 4, allowEvenReplicas: true })
  const seen = new Map<string, readonly string[]>()
  for (let round = 0; round < 60; round++) {
    const { operation } = viewOf(await lookAt(world), [])
    world.tick()
    if (operation === undefined) continue
    assert.equal(operation.title, 'Add kv-3')
    const now = operation.steps.find(({ state }) => state === 'now')
    seen.set(
      now?.title ?? '',
      operation.steps.map(({ state }) => state),
    )
    assert.notEqual(operation.why, '')
  }
  assert.deepEqual(seen.get('Add as learner'), ['now', 'next', 'next', 'next'])
  assert.deepEqual(seen.get('Promote to voter'), ['done', 'done', 'done', 'now'])
  assert.equal(viewOf(await lookAt(world), []).health, 'good')
})

test('a look that comes to no status is not shown, and a spec that cannot be understood is', async () => {
  const world = await formed()
  world.edit({ replicas: 'many' })
  const view = viewOf(await lookAt(world), [])
  assert.deepEqual([view.health, view.state], ['degraded', 'Spec not understood'])
  assert.equal(view.replicas, undefined)
  assert.equal(view.members.length, 3, 'what was known is shown')
  await reconcile({ ...world.deps({}), onLook: () => assert.fail('there is none') }, { ...KEY, name: 'another' })
})

test('its colour follows what matters most', () => {
  const of = (conditions: readonly object[], more: Partial<Look> = {}, status: object = {}): string => {
    const look = { namespace: 'a', name: 'b', uid: 'u', atMs: 0, replicas: 3, isBeingDeleted: false, waitsFor: '', members: new Map(), ...more } // prettier-ignore
    const filled = conditions.map((one) => ({ reason: 'R', lastTransitionTime: '2026-01-01T00:00:00Z', ...one }))
    return viewOf({ ...look, status: parseStatus({ configIndex: 1, ...status, conditions: filled }) }, []).health
  }
  const READY = { type: 'Ready', status: 'True' }
  const DEGRADED = { type: 'Degraded', status: 'True' }
  assert.equal(of([READY]), 'good')
  assert.equal(of([READY, DEGRADED]), 'degraded')
  assert.equal(of([READY, DEGRADED, { type: 'Available', status: 'False' }]), 'down')
  assert.equal(
    of([
      { type: 'Available', status: 'False', reason: 'ScaledToZero' },
      { ...READY, status: 'False' },
    ]),
    'busy',
  )
  assert.equal(of([READY, { type: 'QuorumLost', status: 'True' }]), 'down')
  assert.equal(of([READY, { type: 'Paused', status: 'True' }]), 'unknown')
  assert.equal(of([]), 'unknown')
  assert.equal(of([READY], { isBeingDeleted: true }), 'busy')
})

test('clusters that are formed are shown from the first look on', async () => {
  const world = new World({ replicas: 3 })
  assert.equal(viewOf(await lookAt(world), []).health, 'busy')
  await converge(world)
  assert.equal(viewOf(await lookAt(world), []).health, 'good')
})
