/** Certificates come, are renewed and replaced by themselves; at every tick any two members can talk (testing/world.ts). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ANNOTATIONS } from '../api/raft-cluster.ts'
import { AUTHORITY_LIFE_MS, LEAF_LIFE_MS } from '../api/tls.ts'
import { assertSettledAt, condition, converge, formed, look, reasonOf, rounds } from './testing/convergence.ts'
import { Crash } from './testing/hooks.ts'
import { field, PLAIN } from './testing/objects.ts'
import type { World } from './testing/world.ts'
import { type Certificate, certificatesIn, isIssuedBy } from './tls/certificates.ts'
import { textIn } from './tls/secrets.ts'

const AUTO = { tls: { peer: { mode: 'Auto' }, client: { mode: 'Auto' } } }
const OFF = PLAIN
const SECRETS = ['peer-ca', 'client-ca', 'peer-tls', 'server-tls', 'client-tls', 'operator-tls', 'backup-tls'].map(
  (end) => `kv-${end}`,
)

const inSecret = (world: World, secret: string, file: string): readonly Certificate[] =>
  certificatesIn(textIn(world.get('Secret', secret), file))

function leaf(world: World, secret: string, file: string): Certificate {
  const [found] = inSecret(world, secret, file)
  assert.ok(found !== undefined, `${secret} has ${file}`)
  return found
}

const phases = (world: World): readonly unknown[] =>
  ['peer', 'client'].map((side) => field(field(world.status(), 'tls'), side)['phase'])

function assertSecure(world: World, replicas = 3): void {
  assertSettledAt(world, replicas)
  assert.deepEqual(phases(world), ['Required', 'Required'])
  assert.match(reasonOf(world, 'TLSReady'), /^Ready: /)
  assert.equal(condition(world, 'TLSReady'), 'True')
  for (const pod of world.all('Pod')) assert.deepEqual(world.talker('peer', pod).schemes, ['https'])
}

test('a new cluster talks TLS from its first moment, with certificates for all names that it is known by', async () => {
  const world = await formed(AUTO)
  assertSecure(world)
  assert.deepEqual(world.restarts, [])
  const server = leaf(world, 'kv-server-tls', 'tls.crt').parsed
  for (const name of ['kv-client', 'kv-client.ns.svc', 'kv-headless.ns.svc.cluster.local', 'localhost'])
    assert.equal(server.checkHost(name), name)
  assert.ok(server.checkHost('kv-2.kv-headless.ns.svc.cluster.local') !== undefined)
  const peer = leaf(world, 'kv-peer-tls', 'kv-1.crt').parsed
  assert.ok(peer.checkHost('kv-1.kv-headless.ns.svc.cluster.local') !== undefined)
  assert.equal(peer.checkHost('kv-2.kv-headless.ns.svc.cluster.local'), undefined, 'no member passes for another')
  const commonName = (secret: string): string => leaf(world, secret, 'tls.crt').parsed.subject
  assert.deepEqual(['kv-client-tls', 'kv-backup-tls'].map(commonName), ['CN=kv-client', 'CN=kv-backup'])
  const [authority] = inSecret(world, 'kv-client-tls', 'ca.crt')
  assert.ok(authority !== undefined && isIssuedBy(leaf(world, 'kv-client-tls', 'tls.crt'), authority))
  for (const name of SECRETS)
    assert.equal(world.get('Secret', name)?.metadata.ownerReferences?.[0]?.uid, 'cluster-uid', name)
})

test('where spec.tls is Disabled nothing of it is made, looked for or recorded', async () => {
  const world = await formed()
  assert.deepEqual(
    world.all('Secret').map(({ metadata }) => metadata.name),
    ['kv-admin-token'],
  )
  assert.equal(world.status()['tls'], undefined)
  assert.deepEqual(
    new Set(world.calls.filter(({ kind }) => kind === 'Secret').map(({ name }) => name)),
    new Set(['kv-admin-token']),
  )
  assert.match(reasonOf(world, 'TLSReady'), /^Disabled: /)
})

test('one more member has its certificate before its pod', async () => {
  const world = await formed(AUTO)
  world.edit({ replicas: 5 })
  await look(world)
  assert.deepEqual([world.replicas(), inSecret(world, 'kv-peer-tls', 'kv-4.crt').length], [3, 1])
  await converge(world)
  assertSecure(world, 5)
  world.edit({ replicas: 3 })
  await converge(world)
  assertSecure(world)
  await rounds(world, 5)
  assert.deepEqual(inSecret(world, 'kv-peer-tls', 'kv-4.crt'), [], 'and none longer than it is one')
})

test('scaled from zero, no member waits for the certificate of another', async () => {
  const world = await formed(AUTO)
  world.edit({ replicas: 0 })
  await converge(world)
  const secret = world.get('Secret', 'kv-peer-tls')
  assert.ok(secret !== undefined)
  const { 'kv-1.crt': _, ...others } = field(secret, 'data')
  world.put({ ...secret, data: others })
  world.edit({ replicas: 3 })
  await look(world)
  assert.equal(world.replicas(), 3)
  await converge(world)
  assertSecure(world)
})

test('members that lost their StatefulSet and their CA start, and others get certificates once these trust the next CA', async () => {
  const world = await formed(AUTO)
  for (const lost of ['StatefulSet/kv', 'Secret/kv-peer-ca']) world.objects.delete(lost)
  world.tick()
  assert.deepEqual(world.all('Pod'), [])
  world.edit({ replicas: 5 })
  await rounds(world, 60)
  await converge(world)
  assertSecure(world, 5)
})

test('each Secret deleted or emptied by hand is made anew; nobody is restarted or lost', async () => {
  for (const name of SECRETS) {
    for (const isDeleted of [true, false]) {
      const world = await formed(AUTO)
      const ends = await crippled(world, name, isDeleted)
      assertSecure(world)
      assert.deepEqual(world.restarts, [], name)
      for (const secret of SECRETS)
        assert.ok(textIn(world.get('Secret', secret), 'ca.crt') !== '', `${secret} after ${name}`)
      assert.equal(ends, 1, `${name}: one CA is trusted in the end`)
    }
  }
})

/** Answers how many CAs are trusted in the end. */
async function crippled(world: World, name: string, isDeleted: boolean): Promise<number> {
  const secret = world.get('Secret', name)
  assert.ok(secret !== undefined)
  if (isDeleted) world.objects.delete(`Secret/${name}`)
  else world.put({ ...secret, data: {} })
  await rounds(world, name.endsWith('-ca') ? 280 : 10)
  return Math.max(...SECRETS.map((one) => inSecret(world, one, 'ca.crt').length))
}

test('a CA that is lost while members show certificates of it: the next one is trusted beside it until all have followed', async () => {
  for (const isDeleted of [true, false]) {
    const world = await formed(AUTO)
    const before = leaf(world, 'kv-peer-ca', 'tls.crt')
    world.stale.add('kv-1')
    const secret = world.get('Secret', 'kv-peer-ca')
    assert.ok(secret !== undefined)
    if (isDeleted) world.objects.delete('Secret/kv-peer-ca')
    else world.put({ ...secret, data: {} })
    await rounds(world, 20)
    assert.notEqual(leaf(world, 'kv-peer-ca', 'tls.crt').fingerprint, before.fingerprint)
    assert.match(reasonOf(world, 'TLSReady'), /^RotatingCA: peer: Trusting, waits for kv-1$/)
    assert.ok(isIssuedBy(leaf(world, 'kv-peer-tls', 'kv-0.crt'), before))
    world.stale.clear()
    await rounds(world, 20)
    assertSecure(world)
    assert.deepEqual(world.restarts, [])
  }
})

test('a CA and its certificates lost together: pods have theirs until new ones have come', async () => {
  const world = await formed(AUTO)
  for (const pod of ['kv-0', 'kv-1', 'kv-2']) world.stale.add(pod)
  for (const name of SECRETS) world.objects.delete(`Secret/${name}`)
  for (const side of ['peer', 'client'] as const) world.talks.excused.add(side)
  await rounds(world, 5)
  assert.deepEqual(world.restarts, [])
  world.stale.clear()
  await rounds(world, 5)
  assert.deepEqual([...world.talks.excused], [], 'it is over once the pods have them')
  await rounds(world, 150)
  assertSecure(world)
})

test('a certificate is renewed after two thirds of its life, or as renewBefore says, without a restart', async () => {
  for (const [renewBefore, lifeMs] of [
    [undefined, (LEAF_LIFE_MS * 2) / 3],
    ['720h', LEAF_LIFE_MS - 720 * 3_600_000],
    ['2000h30m', LEAF_LIFE_MS - 2000.5 * 3_600_000],
  ] as const) {
    const side = { mode: 'Auto', ...(renewBefore !== undefined && { renewBefore }) }
    const world = await formed({ tls: { peer: side, client: side } })
    const before = leaf(world, 'kv-peer-tls', 'kv-0.crt')
    world.nowMs = before.notBeforeMs + lifeMs - 60_000
    await rounds(world, 3)
    assert.equal(leaf(world, 'kv-peer-tls', 'kv-0.crt').fingerprint, before.fingerprint)
    world.nowMs += 15 * 60_000
    await rounds(world, 5)
    assert.notEqual(leaf(world, 'kv-peer-tls', 'kv-0.crt').fingerprint, before.fingerprint)
    assertSecure(world)
    assert.deepEqual(world.restarts, [])
  }
})

test('a Secret that changes between the look and the write is not written over', async () => {
  const world = await formed(AUTO)
  world.edit({ tls: { peer: { mode: 'Auto', extraNames: ['a.example'] }, client: { mode: 'Auto' } } })
  let isChanged = false
  const before = (): void => {
    const secret = world.get('Secret', 'kv-peer-tls')
    if (isChanged || secret === undefined) return
    isChanged = true
    world.put({ ...secret, data: { ...field(secret, 'data'), by: 'YW5vdGhlcg==' } })
  }
  await look(world, { before })
  assert.equal(textIn(world.get('Secret', 'kv-peer-tls'), 'by'), 'another')
  await rounds(world, 5)
  assert.equal(textIn(world.get('Secret', 'kv-peer-tls'), 'by'), '')
  assert.equal(leaf(world, 'kv-peer-tls', 'kv-0.crt').parsed.checkHost('a.example'), 'a.example')
})

test('names that are added are in new certificates', async () => {
  const world = await formed(AUTO)
  const side = { mode: 'Auto', extraNames: ['db.example', '10.1.2.3', 'fd00::7'] }
  world.edit({ tls: { peer: { mode: 'Auto' }, client: side } })
  await rounds(world, 5)
  const { parsed } = leaf(world, 'kv-server-tls', 'tls.crt')
  assert.equal(parsed.checkHost('db.example'), 'db.example')
  assert.equal(parsed.checkIP('fd00::7'), 'fd00::7')
  assertSecure(world)
  const { fingerprint } = leaf(world, 'kv-server-tls', 'tls.crt')
  await rounds(world, 5)
  assert.equal(leaf(world, 'kv-server-tls', 'tls.crt').fingerprint, fingerprint, 'once')
})

test('CAs are replaced once for each value of the annotation, step by step as members come to trust', async () => {
  const world = await formed(AUTO)
  const before = leaf(world, 'kv-peer-ca', 'tls.crt')
  world.stale.add('kv-1')
  world.annotate({ [ANNOTATIONS.rotateAuthorities]: '1' })
  await rounds(world, 20)
  const after = leaf(world, 'kv-peer-ca', 'tls.crt')
  assert.notEqual(after.fingerprint, before.fingerprint)
  assert.ok(isIssuedBy(leaf(world, 'kv-peer-tls', 'kv-0.crt'), before), 'kv-1 does not trust the new CA yet')
  assert.match(reasonOf(world, 'TLSReady'), /^RotatingCA: peer: Trusting, waits for kv-1/)
  world.stale.clear()
  world.stale.add('kv-2')
  await rounds(world, 20)
  assert.ok(isIssuedBy(leaf(world, 'kv-peer-tls', 'kv-0.crt'), after))
  assert.equal(inSecret(world, 'kv-peer-tls', 'ca.crt').length, 2, 'kv-2 still shows one of the old CA')
  assert.match(reasonOf(world, 'TLSReady'), /peer: Reissuing, waits for kv-2/)
  world.stale.clear()
  await rounds(world, 300)
  assertSecure(world)
  for (const secret of SECRETS) assert.equal(inSecret(world, secret, 'ca.crt').length, 1, secret)
  assert.deepEqual(textIn(world.get('Secret', 'kv-peer-ca'), 'previous.key'), '')
  assert.deepEqual(world.restarts, [])
  assert.equal(leaf(world, 'kv-peer-ca', 'tls.crt').fingerprint, after.fingerprint)
})

test('applications have time to follow: what they trust and show is taken two minutes longer', async () => {
  const world = await formed(AUTO)
  const server = leaf(world, 'kv-server-tls', 'tls.crt').fingerprint
  world.annotate({ [ANNOTATIONS.rotateAuthorities]: '1' })
  await rounds(world, 100)
  assert.equal(leaf(world, 'kv-server-tls', 'tls.crt').fingerprint, server)
  assert.match(reasonOf(world, 'TLSReady'), /client: Trusting, waits for applications/)
  await rounds(world, 40)
  assert.notEqual(leaf(world, 'kv-server-tls', 'tls.crt').fingerprint, server)
  assert.equal(inSecret(world, 'kv-server-tls', 'ca.crt').length, 2)
  assert.match(reasonOf(world, 'TLSReady'), /client: Reissuing, waits for applications/)
  await rounds(world, 140)
  assert.equal(inSecret(world, 'kv-server-tls', 'ca.crt').length, 1)
})

test('applications whose Secret is lost while CAs change have their time all the same', async () => {
  for (const isDeleted of [true, false]) {
    const world = await formed(AUTO)
    const server = leaf(world, 'kv-server-tls', 'tls.crt').fingerprint
    world.annotate({ [ANNOTATIONS.rotateAuthorities]: '1' })
    await rounds(world, 5)
    const secret = world.get('Secret', 'kv-client-tls')
    assert.ok(secret !== undefined)
    if (isDeleted) world.objects.delete('Secret/kv-client-tls')
    else world.put({ ...secret, metadata: { ...secret.metadata, annotations: {} }, data: {} })
    await rounds(world, 100)
    assert.equal(leaf(world, 'kv-server-tls', 'tls.crt').fingerprint, server)
    await rounds(world, 200)
    assertSecure(world)
  }
})

test('a CA is replaced before its end, by itself', async () => {
  const world = await formed(AUTO)
  const before = leaf(world, 'kv-peer-ca', 'tls.crt')
  const steps = 70
  for (let step = 0; step < steps; step++) {
    // Certificates are renewed on the way, as they would be.
    world.nowMs += (AUTHORITY_LIFE_MS * 0.68) / steps
    await rounds(world, 4)
  }
  await rounds(world, 300)
  assert.notEqual(leaf(world, 'kv-peer-ca', 'tls.crt').fingerprint, before.fingerprint)
  assertSecure(world)
})

test('TLS is turned on and off on a running cluster: two rollouts each way, every pod once in each', async () => {
  const world = await formed()
  world.edit(AUTO)
  await rounds(world, 120)
  await converge(world)
  assertSecure(world)
  assert.equal(world.restarts.length, 6)
  world.edit(OFF)
  await rounds(world, 120)
  await converge(world)
  assertSettledAt(world, 3)
  assert.deepEqual(phases(world), ['Disabled', 'Disabled'])
  assert.equal(world.restarts.length, 12)
  for (const { peerURLs } of world.cluster.members) assert.match(peerURLs.join(), /^http:/)
})

test('TLS is ready only once the last member takes nothing else', async () => {
  const world = await formed()
  world.edit(AUTO)
  for (let round = 0; round < 120; round++) {
    await look(world)
    const isTls = world.all('Pod').every((pod) => world.talker('peer', pod).schemes.join() === 'https')
    if (!isTls) assert.equal(condition(world, 'TLSReady'), 'False')
    world.tick()
  }
  assertSecure(world)
})

test('one side alone, and the turn taken back half-way', async () => {
  const world = await formed()
  world.edit({ tls: { peer: { mode: 'Auto' }, client: { mode: 'Disabled' } } })
  await rounds(world, 20)
  assert.deepEqual(phases(world)[1], 'Disabled')
  assert.notEqual(phases(world)[0], 'Disabled')
  world.edit(OFF)
  await rounds(world, 120)
  assert.deepEqual(phases(world), ['Disabled', 'Disabled'])
  assertSettledAt(world, 3)
  world.edit({ tls: { peer: { mode: 'Disabled' }, client: { mode: 'Auto', clientCertificates: 'None' } } })
  await rounds(world, 150)
  assert.deepEqual(phases(world), ['Disabled', 'Required'])
  assertSettledAt(world, 3)
})

test('no step begins while a member is not in the one before', async () => {
  const world = await formed()
  world.edit(AUTO)
  await rounds(world, 8)
  world.unreachable.add('kv-0')
  const at = phases(world)
  await rounds(world, 60)
  assert.deepEqual(phases(world), at)
  assert.match(reasonOf(world, 'TLSReady'), /^Changing: peer is Accepted on its way to Required.*; waits for .*kv-0/)
  world.unreachable.clear()
  await rounds(world, 120)
  assertSecure(world)
})

test('nor while one is not known by both schemes: nobody could dial it once it takes TLS alone', async () => {
  const world = await formed()
  world.unpublished.add('kv-1')
  world.edit(AUTO)
  await rounds(world, 60)
  assert.deepEqual(phases(world), ['Accepted', 'Accepted'])
  assert.match(reasonOf(world, 'TLSReady'), /^Changing: .*; waits for kv-1$/)
  world.unpublished.clear()
  world.killPod(1)
  await rounds(world, 120)
  assertSecure(world)
})

test('paused, nothing of TLS is changed', async () => {
  const world = await formed()
  world.edit({ ...AUTO, paused: true })
  await rounds(world, 10)
  assert.deepEqual([world.all('Secret').length, world.status()['tls']], [1, undefined])
})

test('members of an earlier form have no TLS: it is said, and nothing is done', async () => {
  const world = await formed()
  const { forms } = world
  const earlier = forms.slice(0, 2)
  const old = await (async () => {
    const made = await formed({ replicas: 0 })
    made.forms = earlier
    made.objects.delete('StatefulSet/kv')
    made.put({ ...made.resource(), status: undefined })
    made.edit({ replicas: 3 })
    await converge(made)
    made.forms = forms
    return made
  })()
  old.edit(AUTO)
  await rounds(old, 20)
  assert.match(reasonOf(old, 'TLSReady'), /^Waiting: members are made in form 2, which has no TLS: move spec\.image/)
  assert.deepEqual(old.restarts, [])
  old.edit({ image: { tag: '2' } })
  await rounds(old, 150)
  assertSecure(old)
})

test('the operator is killed at every call to the API server, on its way to TLS and through a change of CAs', async () => {
  for (const every of [3, 5]) {
    const world = await formed()
    let calls = 0
    const hooks = { after: () => void (++calls % every === 0 && crash()) }
    world.edit(AUTO)
    for (let round = 0; round < 300; round++) {
      await look(world, hooks)
      world.tick()
    }
    world.annotate({ [ANNOTATIONS.rotateAuthorities]: '1' })
    for (let round = 0; round < 400; round++) {
      await look(world, hooks)
      world.tick()
    }
    await rounds(world, 10)
    assertSecure(world)
    assert.equal(inSecret(world, 'kv-peer-tls', 'ca.crt').length, 1)
  }
})

function crash(): never {
  throw new Crash('killed')
}
