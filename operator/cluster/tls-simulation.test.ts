/**
 * Clusters that are turned to TLS and back, get their certificates from elsewhere, get other CAs, lose Secrets and pods, while
 * each kubelet brings mounted Secrets up to date when it likes and the operator is killed anywhere: at every tick any two members
 * that run can dial each other and applications are served, no restart costs the quorum (all of it is testing/world.ts), and left
 * alone it all ends where the spec says.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { ANNOTATIONS } from '../api/raft-cluster.ts'
import { brought, putSecret } from './testing/brought-secret.ts'
import { type FakeCertManager, installCertManager } from './testing/fake-cert-manager.ts'
import { assertSettledAt, condition, converge, formed, look, rounds } from './testing/convergence.ts'
import { Crash } from './testing/hooks.ts'
import { field } from './testing/objects.ts'
import type { World } from './testing/world.ts'

const auto = { mode: 'Auto' }
const brings = {
  peer: { mode: 'Secret', secretRef: { name: 'my-peer' } },
  client: { mode: 'Secret', secretRef: { name: 'my-client' } },
}
const issued = { mode: 'CertManager', issuerRef: { name: 'issuer' } }
const off = { mode: 'Disabled' }
/** What is left open is Auto. */
const SPECS = [
  { peer: off, client: off },
  { client: off },
  { peer: off, client: auto },
  {},
  brings,
  { peer: issued, client: issued },
  { peer: brings.peer, client: issued },
] as const
const SECRETS = ['peer-ca', 'client-ca', 'peer-tls', 'server-tls', 'client-tls', 'operator-tls', 'backup-tls'].map(
  (end) => `kv-${end}`,
)
const PODS = ['kv-0', 'kv-1', 'kv-2'] as const

type Step =
  | { readonly kind: 'turn'; readonly to: number }
  | { readonly kind: 'rotate'; readonly value: number }
  | { readonly kind: 'lose'; readonly secret: number }
  /** A CA, and all that trusts it. */
  | { readonly kind: 'lose-all'; readonly side: 'peer' | 'client' }
  /** Another pair of another CA. */
  | { readonly kind: 'bring'; readonly name: 'my-peer' | 'my-client' }
  | { readonly kind: 'change-issuer' }
  | { readonly kind: 'kill'; readonly ordinal: number }
  | { readonly kind: 'age'; readonly days: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('turn' as const), to: fc.nat(SPECS.length - 1) }),
  fc.record({ kind: fc.constant('rotate' as const), value: fc.nat(1000) }),
  fc.record({ kind: fc.constant('lose' as const), secret: fc.nat(SECRETS.length - 1) }),
  fc.record({ kind: fc.constant('lose-all' as const), side: fc.constantFrom('peer' as const, 'client' as const) }),
  fc.record({ kind: fc.constant('bring' as const), name: fc.constantFrom('my-peer' as const, 'my-client' as const) }),
  fc.record({ kind: fc.constant('change-issuer' as const) }),
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
      const certManager = installCertManager(world)
      for (const name of ['my-peer', 'my-client']) putSecret(world, name, (await brought(world)).texts)
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
        await happen(world, certManager, one)
        await goOn(pause)
      }
      world.stale.clear()
      // Two changes of CAs, one after the other: applications are waited for twice in each.
      await rounds(world, 540)
      await converge(world)
      assertSettledAt(world, 3)
      assertAsAsked(world)
      assert.deepEqual([...world.talks.excused], [])
    }),
    { numRuns: 8, seed: 1 },
  )
})

async function happen(world: World, certManager: FakeCertManager, one: Step): Promise<void> {
  switch (one.kind) {
    case 'turn':
      return world.edit({ tls: SPECS[one.to] })
    case 'rotate':
      return world.annotate({ [ANNOTATIONS.rotateAuthorities]: String(one.value) })
    case 'lose':
      return lose(world, SECRETS[one.secret] ?? '')
    case 'lose-all':
      for (const name of SECRETS.filter((secret) => sideOf(secret) === one.side)) lose(world, name)
      return
    case 'bring':
      return putSecret(world, one.name, (await brought(world)).texts)
    case 'change-issuer':
      certManager.changeIssuer()
      return certManager.reissue()
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

const sideOf = (secret: string): 'peer' | 'client' => (secret.startsWith('kv-peer') ? 'peer' : 'client')

/** What members show can be given to them again by whoever signed it, and a CA be known by what members mount: one of the two is enough. */
function lose(world: World, name: string): void {
  const side = sideOf(name)
  if (world.get('Secret', name) === undefined) return
  world.objects.delete(`Secret/${name}`)
  const [authority, mounted] = side === 'peer' ? ['kv-peer-ca', 'kv-peer-tls'] : ['kv-client-ca', 'kv-server-tls']
  const known = field(field(world.status(), 'tls'), side)
  const isTurning = (known['rotation'] ?? 'None') !== 'None' || world.get('Secret', authority) === undefined
  const isMountedLost = world.get('Secret', mounted) === undefined
  if (isMountedLost && (isTurning || name === authority)) world.talks.excused.add(side)
}

function assertAsAsked(world: World): void {
  const tls = field(field(world.resource(), 'spec'), 'tls')
  for (const side of ['peer', 'client']) {
    const isWanted = (field(tls, side)['mode'] ?? 'Auto') !== 'Disabled'
    const known = field(field(world.status(), 'tls'), side)
    assert.equal(known['phase'] ?? 'Disabled', isWanted ? 'Required' : 'Disabled', side)
    if (isWanted) assert.equal(known['rotation'], 'None', side)
  }
  const isAny = ['peer', 'client'].some((side) => (field(tls, side)['mode'] ?? 'Auto') !== 'Disabled')
  assert.equal(condition(world, 'TLSReady'), isAny ? 'True' : 'False')
}
