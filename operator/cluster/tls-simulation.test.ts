/**
 * Clusters that are turned to TLS and back, get other CAs, lose Secrets and pods, while each kubelet brings mounted Secrets up
 * to date when it likes and the operator is killed anywhere: at every tick any two members that run can dial each other, no
 * restart costs the quorum (both are testing/world.ts), and left alone it all ends where the spec says.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { ANNOTATIONS } from '../api/raft-cluster.ts'
import { assertSettledAt, condition, converge, formed, look, rounds } from './testing/convergence.ts'
import { Crash } from './testing/hooks.ts'
import { field } from './testing/objects.ts'
import type { World } from './testing/world.ts'

const auto = { mode: 'Auto' }
const SPECS = [{}, { peer: auto }, { client: auto }, { peer: auto, client: auto }] as const
const SECRETS = ['peer-ca', 'client-ca', 'peer-tls', 'server-tls', 'client-tls', 'operator-tls'].map(
  (end) => `kv-${end}`,
)
/** Of each side, by their places. A CA that is lost with all that trusts it is another test's. */
const SIDES: readonly (readonly number[])[] = [
  [0, 2],
  [1, 3, 4, 5],
]
const PODS = ['kv-0', 'kv-1', 'kv-2'] as const

type Step =
  | { readonly kind: 'turn'; readonly to: number }
  | { readonly kind: 'rotate'; readonly value: number }
  | { readonly kind: 'lose'; readonly secret: number }
  | { readonly kind: 'kill'; readonly ordinal: number }
  | { readonly kind: 'age'; readonly days: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('turn' as const), to: fc.nat(SPECS.length - 1) }),
  fc.record({ kind: fc.constant('rotate' as const), value: fc.nat(1000) }),
  fc.record({ kind: fc.constant('lose' as const), secret: fc.nat(SECRETS.length - 1) }),
  fc.record({ kind: fc.constant('kill' as const), ordinal: fc.nat(2) }),
  fc.record({ kind: fc.constant('age' as const), days: fc.integer({ min: 1, max: 10 }) }),
)

/** What happens, and for how long nothing else does. */
const course = fc.record({
  steps: fc.array(fc.tuple(step, fc.integer({ min: 0, max: 25 })), { minLength: 3, maxLength: 8 }),
  /** Bits: which pods' kubelets look at a tick. */
  looks: fc.array(fc.nat(7), { minLength: 7, maxLength: 7 }),
  /** The operator is killed after each so many calls to the API server; 0: never. */
  killedEvery: fc.nat(9),
})

test('whatever happens in whatever order, members can talk at every moment, and it ends as the spec says', async () => {
  await fc.assert(
    fc.asyncProperty(course, async ({ steps, looks, killedEvery }) => {
      const world = await formed()
      let tick = 0
      let calls = 0
      const hooks = {
        after: (): void => {
          calls += 1
          if (killedEvery > 1 && calls % killedEvery === 0) throw new Crash('killed')
        },
      }
      const goOn = async (count: number): Promise<void> => {
        for (let round = 0; round < count; round++) {
          tick += 1
          world.stale.clear()
          PODS.filter((_, index) => ((looks[tick % looks.length] ?? 7) & (1 << index)) === 0).forEach((pod) =>
            world.stale.add(pod),
          )
          await look(world, hooks)
          world.tick()
        }
      }
      for (const [one, pause] of steps) {
        happen(world, one)
        await goOn(pause)
      }
      world.stale.clear()
      await rounds(world, 420)
      await converge(world)
      assertSettledAt(world, 3)
      assertAsAsked(world)
    }),
    { numRuns: 8, seed: 1 },
  )
})

function happen(world: World, one: Step): void {
  switch (one.kind) {
    case 'turn':
      return world.edit({ tls: SPECS[one.to] })
    case 'rotate':
      return world.annotate({ [ANNOTATIONS.rotateAuthorities]: String(one.value) })
    case 'lose':
      if (SIDES.some((side) => side.includes(one.secret) && side.every((index) => isThere(world, index))))
        world.objects.delete(`Secret/${SECRETS[one.secret]}`)
      return
    case 'kill':
      // Nobody kills a pod of a cluster that cannot spare one.
      if (world.cluster.alive.size === 3) world.killPod(one.ordinal)
      return
    case 'age':
      world.nowMs += one.days * 24 * 3_600_000
      return
    default:
      one satisfies never
  }
}

function isThere(world: World, index: number): boolean {
  return Object.keys(field(world.get('Secret', SECRETS[index] ?? ''), 'data')).length > 0
}

function assertAsAsked(world: World): void {
  const tls = field(field(world.resource(), 'spec'), 'tls')
  for (const side of ['peer', 'client']) {
    const isWanted = field(tls, side)['mode'] === 'Auto'
    const known = field(field(world.status(), 'tls'), side)
    assert.equal(known['phase'] ?? 'Disabled', isWanted ? 'Required' : 'Disabled', side)
    if (isWanted) assert.equal(known['rotation'], 'None', side)
  }
  const isAny = ['peer', 'client'].some((side) => field(tls, side)['mode'] === 'Auto')
  assert.equal(condition(world, 'TLSReady'), isAny ? 'True' : 'False')
}
