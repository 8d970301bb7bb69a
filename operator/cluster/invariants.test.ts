import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { unreachable } from '../../lib/assert.ts'
import { KubeError } from './ports.ts'
import { assertSettledAt, condition, converge, look } from './testing/convergence.ts'
import { Crash, type Hooks } from './testing/hooks.ts'
import { World } from './testing/world.ts'

/** One thing that happens. Numbers say where a process ends or which ordinal is meant. */
const step = fc.oneof(
  fc.record({ kind: fc.constant('look' as const) }),
  fc.record({ kind: fc.constant('look' as const) }),
  fc.record({ kind: fc.constant('tick' as const) }),
  fc.record({ kind: fc.constant('crash' as const), calls: fc.nat(6), isAfter: fc.boolean() }),
  fc.record({ kind: fc.constant('stale' as const), calls: fc.nat(6), looks: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ kind: fc.constant('edit' as const), replicas: fc.constantFrom(0, 1, 3, 5) }),
  fc.record({ kind: fc.constant('image' as const), tag: fc.constantFrom('1', '2', 'bad') }),
  fc.record({ kind: fc.constant('replace' as const), ordinal: fc.nat(4) }),
  fc.record({ kind: fc.constant('lead' as const), ordinal: fc.nat(4) }),
  fc.record({ kind: fc.constant('pause' as const), paused: fc.boolean() }),
  fc.record({ kind: fc.constant('hand' as const), replicas: fc.nat(6) }),
  fc.record({ kind: fc.constant('kill' as const), ordinal: fc.nat(4) }),
  fc.record({ kind: fc.constant('lose' as const), ordinal: fc.nat(4) }),
)
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

async function take(world: World, step: Step): Promise<void> {
  switch (step.kind) {
    case 'look':
      return look(world)
    case 'tick':
      return world.tick()
    case 'edit':
      return world.edit({ replicas: step.replicas })
    case 'image':
      return world.edit({ image: { tag: step.tag } })
    case 'replace':
      return world.annotate({ 'raftkv.dev/replace-member': `kv-${step.ordinal}` })
    case 'lead':
      return world.annotate({ 'raftkv.dev/move-leader': `kv-${step.ordinal}` })
    case 'pause':
      return world.edit({ paused: step.paused })
    case 'hand':
      return world.setReplicas(step.replicas)
    case 'kill':
      return world.killPod(step.ordinal)
    case 'lose':
      return loseIfSurvivable(world, step.ordinal)
    case 'crash':
      return look(world, crashAt(step.calls, step.isAfter))
    case 'stale':
      return stale(world, step.calls, step.looks)
    default:
      return unreachable(step)
  }
}

/** The world survives it: with all voters healthy, three or more, one may go. */
function loseIfSurvivable(world: World, ordinal: number): void {
  const { voters, alive } = world.cluster
  const isHealthy = voters.length >= 3 && voters.every((id) => alive.has(id))
  if (isHealthy && world.all('Pod').every((pod) => (world.diskOf(pod)?.age ?? 0) > 0)) world.loseVolume(ordinal)
}

function crashAt(calls: number, isAfter: boolean): Hooks {
  let left = calls
  const fire = (): void => {
    if (left-- === 0) throw new Crash()
  }
  return isAfter ? { after: fire } : { before: fire }
}

/**
 * An operator falls asleep before one of its calls, another works, then it wakes. It has lost its lease: the API server
 * hears no more from it. Members do, and have to tell by the fence.
 */
async function stale(world: World, calls: number, looks: number): Promise<void> {
  const woken = Promise.withResolvers<void>()
  let left = calls
  let isStale = false
  const sleeper = look(world, {
    before: async (what) => {
      if (left-- === 0) {
        isStale = true
        await woken.promise
      }
      if (isStale && what === 'kube') throw new KubeError({ kind: 'unavailable', message: 'the lease is lost' })
    },
  })
  for (let count = 0; count < looks; count++) {
    await look(world)
    world.tick()
  }
  woken.resolve()
  await sleeper
}

test('invariants 12–16: whatever happens at any moment, nothing forbidden is done and the last edit is reached', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.constantFrom(1, 3, 5), async (steps, target) => {
      const world = new World({ replicas: 3 })
      world.broken.add('image:bad')
      for (const each of steps) await take(world, each)
      world.edit({ replicas: target, paused: false, image: { tag: 'last' } })
      world.annotate({})
      await converge(world)
      assertSettledAt(world, target)
      assert.equal(condition(world, 'UpToDate'), 'True')
    }),
    { numRuns: 150 },
  )
})
