/** Certificates that a user brings, or cert-manager issues: checked, taken without a restart, and exchanged for others without a gap (testing/world.ts asks at every tick who can talk). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LEAF_LIFE_MS } from '../api/tls.ts'
import { KubeError } from './ports.ts'
import { CERTIFICATE } from './resources/certificate.ts'
import { brought, putSecret } from './testing/brought-secret.ts'
import { type FakeCertManager, installCertManager } from './testing/fake-cert-manager.ts'
import { assertSettledAt, condition, converge, formed, look, reasonOf, rounds } from './testing/convergence.ts'
import { Crash } from './testing/hooks.ts'
import { field, PLAIN } from './testing/objects.ts'
import { World } from './testing/world.ts'
import { certificatesIn } from './tls/certificates.ts'
import { textIn } from './tls/secrets.ts'

const AUTO = { tls: { peer: { mode: 'Auto' }, client: { mode: 'Auto' } } }
const SECRET = {
  tls: {
    peer: { mode: 'Secret', secretRef: { name: 'my-peer' } },
    client: { mode: 'Secret', secretRef: { name: 'my-client' } },
  },
}
const issuerRef = { name: 'issuer', kind: 'ClusterIssuer' }
const CERT_MANAGER = { tls: { peer: { mode: 'CertManager', issuerRef }, client: { mode: 'CertManager', issuerRef } } }
/** Enough for a change of CAs, applications included. */
const CHANGE_ROUNDS = 300

const text = (world: World, secret: string, file: string): string => textIn(world.get('Secret', secret), file)

const side = (world: World, name: 'peer' | 'client'): Readonly<Record<string, unknown>> =>
  field(field(world.status(), 'tls'), name)

function assertSecure(world: World, replicas = 3): void {
  assertSettledAt(world, replicas)
  assert.match(reasonOf(world, 'TLSReady'), /^Ready: /)
  for (const name of ['peer', 'client'] as const)
    assert.deepEqual([side(world, name)['phase'], side(world, name)['rotation']], ['Required', 'None'])
  for (const pod of world.all('Pod')) assert.deepEqual(world.talker('peer', pod).schemes, ['https'])
}

async function formedWithSecrets(): Promise<World> {
  const world = new World({ replicas: 3, ...SECRET })
  for (const name of ['my-peer', 'my-client']) putSecret(world, name, (await brought(world)).texts)
  await converge(world)
  return world
}

async function formedWithCertManager(): Promise<readonly [World, FakeCertManager]> {
  const world = new World({ replicas: 3, ...CERT_MANAGER })
  const certManager = installCertManager(world)
  await converge(world)
  return [world, certManager]
}

test('Secret: the pair that a user brings is what members, the operator and applications show; no CA is made', async () => {
  const world = await formedWithSecrets()
  assertSecure(world)
  for (const pod of ['kv-0', 'kv-1', 'kv-2'])
    assert.equal(text(world, 'kv-peer-tls', `${pod}.crt`), text(world, 'my-peer', 'tls.crt'))
  for (const secret of ['kv-server-tls', 'kv-operator-tls', 'kv-client-tls', 'kv-backup-tls'])
    for (const file of ['ca.crt', 'tls.crt', 'tls.key'])
      assert.equal(text(world, secret, file), text(world, 'my-client', file), `${secret} ${file}`)
  for (const secret of ['kv-peer-ca', 'kv-client-ca']) assert.equal(world.get('Secret', secret), undefined)
  assert.deepEqual([world.restarts, side(world, 'peer')['mode']], [[], 'Secret'])
})

test('Secret: client.crt and client.key, where they are there, are for the operator and applications; backup.crt and backup.key for backups', async () => {
  const world = new World({ replicas: 3, ...SECRET })
  const { authority, texts } = await brought(world)
  const client = (await brought(world, { authority, names: [], isServer: false })).texts
  const backup = (await brought(world, { authority, names: [], isServer: false })).texts
  putSecret(world, 'my-peer', (await brought(world)).texts)
  putSecret(world, 'my-client', {
    ...texts,
    'client.crt': client['tls.crt'] ?? '',
    'client.key': client['tls.key'] ?? '',
  })
  await converge(world)
  assertSecure(world)
  for (const secret of ['kv-operator-tls', 'kv-client-tls', 'kv-backup-tls'])
    assert.equal(text(world, secret, 'tls.crt'), client['tls.crt'])
  assert.equal(text(world, 'kv-server-tls', 'tls.crt'), texts['tls.crt'])
  putSecret(world, 'my-client', {
    ...texts,
    'client.crt': client['tls.crt'] ?? '',
    'client.key': client['tls.key'] ?? '',
    'backup.crt': backup['tls.crt'] ?? '',
    'backup.key': backup['tls.key'] ?? '',
  })
  await rounds(world, 5)
  assertSecure(world)
  assert.equal(text(world, 'kv-backup-tls', 'tls.crt'), backup['tls.crt'])
  assert.equal(text(world, 'kv-client-tls', 'tls.crt'), client['tls.crt'])
})

test('Secret: each thing that is wrong with it is a sentence of TLSReady, and what is in use stays so', async () => {
  const world = await formed(AUTO)
  const good = await brought(world)
  const other = await brought(world)
  const made = async (wish: Parameters<typeof brought>[1]): Promise<Readonly<Record<string, string>>> =>
    (await brought(world, { authority: good.authority, ...wish })).texts
  const dayMs = 24 * 3_600_000
  const cases: readonly (readonly [Readonly<Record<string, string>> | undefined, RegExp])[] = [
    [undefined, /^CertificatesUnusable: peer: there is no Secret my-peer$/],
    [{}, /tls\.crt in Secret my-peer is no certificate; ca\.crt in Secret my-peer has no certificate of a CA$/],
    [{ ...good.texts, 'ca.crt': 'x' }, /peer: ca\.crt in Secret my-peer has no certificate of a CA$/],
    [{ ...good.texts, 'tls.crt': 'x' }, /peer: tls\.crt in Secret my-peer is no certificate$/],
    [{ ...good.texts, 'tls.key': '' }, /peer: tls\.key in Secret my-peer is not the key of tls\.crt$/],
    [{ ...good.texts, 'tls.key': other.texts['tls.key'] ?? '' }, /is not the key of tls\.crt$/],
    [
      { ...good.texts, 'ca.crt': other.texts['ca.crt'] ?? '' },
      /tls\.crt in Secret my-peer is not issued by a CA in its ca\.crt$/,
    ],
    [
      await made({ names: ['kv.example'] }),
      /is not valid for kv-0\.[^;]*; [^;]* is not valid for kv-1\.[^;]*; [^;]* is not valid for kv-2\.kv-headless\.ns\.svc\.cluster\.local$/,
    ],
    [await made({ isServer: false }), /tls\.crt in Secret my-peer is not meant for serverAuth$/],
    [await made({ atMs: world.nowMs - LEAF_LIFE_MS }), /tls\.crt in Secret my-peer ended at 20/],
    [await made({ atMs: world.nowMs + dayMs }), /tls\.crt in Secret my-peer begins at 20/],
  ]
  const before = text(world, 'kv-peer-tls', 'kv-0.crt')
  world.edit({ tls: { ...AUTO.tls, peer: SECRET.tls.peer } })
  for (const [texts, sentence] of cases) {
    if (texts === undefined) world.objects.delete('Secret/my-peer')
    else putSecret(world, 'my-peer', texts)
    await rounds(world, 4)
    assert.match(reasonOf(world, 'TLSReady'), sentence)
    assert.equal(condition(world, 'TLSReady'), 'False')
    assert.equal(text(world, 'kv-peer-tls', 'kv-0.crt'), before)
    assertSettledAt(world, 3)
  }
  putSecret(world, 'my-peer', good.texts)
  await rounds(world, 20)
  assertSecure(world)
  assert.equal(text(world, 'kv-peer-tls', 'kv-0.crt'), good.texts['tls.crt'])
  assert.deepEqual(world.restarts, [])
})

test('Secret: while what is brought cannot be used, the operator goes on renewing what it issued before', async () => {
  const world = await formed(AUTO)
  world.edit(SECRET)
  await rounds(world, 5)
  const before = text(world, 'kv-peer-tls', 'kv-0.crt')
  world.nowMs += (LEAF_LIFE_MS * 2) / 3
  await rounds(world, 5)
  assert.notEqual(text(world, 'kv-peer-tls', 'kv-0.crt'), before)
  assert.match(reasonOf(world, 'TLSReady'), /there is no Secret my-peer/)
  assertSettledAt(world, 3)
})

test('Secret: a new cluster waits for it, and its scale-up for a certificate that is valid for the new pod', async () => {
  const world = new World({ replicas: 1, ...SECRET })
  await rounds(world, 10)
  assert.deepEqual([world.all('Pod').length, world.all('StatefulSet').length], [0, 0])
  assert.match(reasonOf(world, 'TLSReady'), /there is no Secret my-peer/)
  const { authority, texts } = await brought(world, { names: ['kv-0.kv-headless.ns.svc.cluster.local'] })
  putSecret(world, 'my-peer', texts)
  putSecret(world, 'my-client', (await brought(world)).texts)
  await converge(world)
  assertSecure(world, 1)
  world.edit({ replicas: 3 })
  await rounds(world, 10)
  assert.equal(world.replicas(), 1)
  assert.match(reasonOf(world, 'TLSReady'), /not valid for kv-1\./)
  putSecret(world, 'my-peer', (await brought(world, { authority })).texts)
  await converge(world)
  assertSecure(world)
  assert.deepEqual(world.restarts, [])
})

test('Secret: a renewed pair of the same CA is taken at once, whoever is away, and without a restart', async () => {
  const world = new World({ replicas: 3, ...SECRET })
  const peer = await brought(world)
  putSecret(world, 'my-peer', peer.texts)
  putSecret(world, 'my-client', (await brought(world)).texts)
  await converge(world)
  world.unreachable.add('kv-1')
  const { texts } = await brought(world, { authority: peer.authority })
  putSecret(world, 'my-peer', texts)
  await rounds(world, 3)
  assert.equal(text(world, 'kv-peer-tls', 'kv-1.crt'), texts['tls.crt'])
  assert.deepEqual(world.restarts, [])
})

test('Secret: with another CA in it, certificates follow once every member trusts that, and the old one leaves', async () => {
  const world = await formedWithSecrets()
  const [old, next] = [text(world, 'my-peer', 'tls.crt'), await brought(world)]
  world.stale.add('kv-1')
  putSecret(world, 'my-peer', next.texts)
  await rounds(world, 20)
  assert.equal(text(world, 'kv-peer-tls', 'kv-0.crt'), old)
  assert.match(reasonOf(world, 'TLSReady'), /^RotatingCA: peer: Trusting, waits for kv-1$/)
  world.stale.clear()
  world.stale.add('kv-2')
  await rounds(world, 20)
  assert.equal(text(world, 'kv-peer-tls', 'kv-0.crt'), next.texts['tls.crt'])
  assert.equal(certificatesIn(text(world, 'kv-peer-tls', 'ca.crt')).length, 2)
  world.stale.clear()
  await rounds(world, 20)
  assertSecure(world)
  assert.equal(text(world, 'kv-peer-tls', 'ca.crt'), next.texts['ca.crt'])
  assert.deepEqual(world.restarts, [])
})

test('CertManager: one Certificate a member, one each for server, operator, applications and backups, and as many as there are members', async () => {
  const [world] = await formedWithCertManager()
  assertSecure(world)
  const names = (): readonly string[] =>
    world
      .all(CERTIFICATE.kind)
      .map(({ metadata }) => metadata.name)
      .toSorted()
  const others = ['kv-backup-cert', 'kv-client-cert', 'kv-operator-cert', 'kv-server-cert']
  assert.deepEqual(names(), ['kv-0-peer-cert', 'kv-1-peer-cert', 'kv-2-peer-cert', ...others])
  const peer = field(world.get(CERTIFICATE.kind, 'kv-1-peer-cert'), 'spec')
  assert.deepEqual(peer['issuerRef'], { ...issuerRef, group: 'cert-manager.io' })
  assert.deepEqual(peer['usages'], ['digital signature', 'server auth', 'client auth'])
  assert.deepEqual(peer['ipAddresses'], ['127.0.0.1', '::1'])
  assert.ok(Array.isArray(peer['dnsNames']) && peer['dnsNames'].includes('kv-1.kv-headless.ns.svc.cluster.local'))
  for (const { metadata } of world.all(CERTIFICATE.kind))
    assert.equal(metadata.ownerReferences?.[0]?.uid, 'cluster-uid', metadata.name)
  world.edit({ replicas: 5 })
  await converge(world)
  assert.equal(names().length, 9)
  world.edit({ replicas: 3 })
  await converge(world)
  assertSecure(world)
  assert.equal(names().length, 7)
  for (const secret of ['kv-peer-ca', 'kv-client-ca']) assert.equal(world.get('Secret', secret), undefined)
})

test('CertManager: what it says of a Certificate that it does not issue is told', async () => {
  const world = new World({ replicas: 3, ...CERT_MANAGER })
  const certManager = installCertManager(world)
  certManager.refused.set('kv-1-peer-cert', 'the issuer is not ready')
  await rounds(world, 10)
  assert.match(
    reasonOf(world, 'TLSReady'),
    /^CertificatesUnusable: peer: Certificate kv-1-peer-cert is not issued yet: the issuer is not ready$/,
  )
  certManager.refused.clear()
  await converge(world)
  assertSecure(world)
})

test('CertManager: where it is not installed, or may not be asked, TLSReady says so and members go on as before', async () => {
  for (const [kind, expected] of [
    ['not-found', /knows no Certificate of cert-manager\.io\/v1: install cert-manager/],
    ['forbidden', /^NotObserved: cannot list certificates$/],
  ] as const) {
    const world = await formed(AUTO)
    const message = 'cannot list certificates'
    world.answer = (call) => (call.kind === CERTIFICATE.kind ? new KubeError({ kind, message }) : undefined)
    world.edit(CERT_MANAGER)
    await rounds(world, 30)
    assert.match(reasonOf(world, 'TLSReady'), expected)
    world.edit({ replicas: 5 })
    await converge(world)
    assert.equal(world.replicas(), 5, 'and as many as are asked for')
    world.answer = () => undefined
    installCertManager(world)
    await rounds(world, CHANGE_ROUNDS)
    assertSecure(world, 5)
    assert.deepEqual(world.restarts, [])
  }
})

test('CertManager: an issuer with another CA: certificates that come one after the other are used once all trust it', async () => {
  const [world, certManager] = await formedWithCertManager()
  const old = text(world, 'kv-0-peer-cert', 'ca.crt')
  certManager.changeIssuer()
  world.objects.delete('Secret/kv-2-peer-cert')
  world.stale.add('kv-0')
  await rounds(world, 20)
  assert.match(reasonOf(world, 'TLSReady'), /peer: Trusting, waits for kv-0/)
  world.stale.clear()
  await rounds(world, 20)
  assert.equal(text(world, 'kv-peer-tls', 'kv-2.crt'), text(world, 'kv-2-peer-cert', 'tls.crt'))
  assert.ok(text(world, 'kv-peer-tls', 'ca.crt').includes(old), 'others still have certificates of it')
  certManager.reissue()
  await rounds(world, CHANGE_ROUNDS)
  assertSecure(world)
  assert.equal(text(world, 'kv-peer-tls', 'ca.crt'), text(world, 'kv-0-peer-cert', 'ca.crt'))
  assert.deepEqual(world.restarts, [])
})

test('from Auto to CertManager, to Secret, to Auto: nobody is restarted, and nothing is left of the mode before', async () => {
  const world = await formed(AUTO)
  installCertManager(world)
  for (const name of ['my-peer', 'my-client']) putSecret(world, name, (await brought(world)).texts)
  for (const [spec, mode, wanted] of [
    [CERT_MANAGER, 'CertManager', 'kv-0-peer-cert/tls.crt'],
    [SECRET, 'Secret', 'my-peer/tls.crt'],
    [AUTO, 'Auto', undefined],
  ] as const) {
    world.edit(spec)
    await rounds(world, CHANGE_ROUNDS)
    assertSecure(world)
    assert.deepEqual([side(world, 'peer')['mode'], side(world, 'client')['mode']], [mode, mode])
    const [secret = '', file = ''] = wanted?.split('/') ?? []
    if (wanted !== undefined) assert.equal(text(world, 'kv-peer-tls', 'kv-0.crt'), text(world, secret, file))
    for (const bundle of ['kv-peer-tls', 'kv-server-tls', 'kv-client-tls', 'kv-operator-tls', 'kv-backup-tls'])
      assert.equal(certificatesIn(text(world, bundle, 'ca.crt')).length, 1, `${mode} ${bundle}`)
    assert.equal(world.all(CERTIFICATE.kind).length, mode === 'CertManager' ? 7 : 0)
  }
  assert.deepEqual(world.restarts, [])
})

test('off again: what others issued is in use until the last member needs none', async () => {
  const [world] = await formedWithCertManager()
  const before = text(world, 'kv-peer-tls', 'ca.crt')
  world.edit(PLAIN)
  await rounds(world, 5)
  assert.equal(text(world, 'kv-peer-tls', 'ca.crt'), before)
  await rounds(world, 120)
  await converge(world)
  assertSettledAt(world, 3)
  assert.equal(side(world, 'peer')['phase'], 'Disabled')
  assert.deepEqual(world.all(CERTIFICATE.kind), [])
})

test('the operator’s own certificate lost: it has another one at once, whatever waits for members that it cannot hear', async () => {
  const ways: readonly (readonly [string, () => Promise<World>, (world: World) => Promise<void>])[] = [
    ['Secret', formedWithSecrets, async (world) => putSecret(world, 'my-client', (await brought(world)).texts)],
    ['Auto', async () => formed(AUTO), async (world) => void world.objects.delete('Secret/kv-client-ca')],
  ]
  for (const [name, form, change] of ways) {
    const world = await form()
    await change(world)
    world.stale.add('kv-1')
    await rounds(world, 3)
    assert.match(reasonOf(world, 'TLSReady'), /client: Trusting/, name)
    world.objects.delete('Secret/kv-operator-tls')
    await rounds(world, 5)
    world.stale.clear()
    await rounds(world, CHANGE_ROUNDS)
    assertSecure(world)
    assert.deepEqual(world.restarts, [])
  }
})

test('turned back half-way: to CertManager and back to Auto before all have come', async () => {
  const world = await formed(AUTO)
  const certManager = installCertManager(world)
  certManager.refused.set('kv-1-peer-cert', 'the issuer is not ready')
  world.edit(CERT_MANAGER)
  await rounds(world, 30)
  assert.match(reasonOf(world, 'TLSReady'), /kv-1-peer-cert is not issued yet/)
  assert.ok(text(world, 'kv-peer-tls', 'kv-1.crt') !== '')
  world.edit(AUTO)
  await rounds(world, CHANGE_ROUNDS)
  assertSecure(world)
  assert.deepEqual([world.all(CERTIFICATE.kind), world.restarts], [[], []])
})

test('killed when it has made the first Certificate, and turned back then: that one goes', async () => {
  const world = await formed(AUTO)
  world.edit(CERT_MANAGER)
  const after = (): void => {
    if (world.all(CERTIFICATE.kind).length > 0) throw new Crash('killed')
  }
  for (let round = 0; round < 5 && world.all(CERTIFICATE.kind).length === 0; round++) await look(world, { after })
  assert.equal(world.all(CERTIFICATE.kind).length, 1)
  world.edit(AUTO)
  await rounds(world, 10)
  assert.deepEqual(world.all(CERTIFICATE.kind), [])
})

test('Certificates that could not be deleted when the mode changed are deleted later', async () => {
  const [world] = await formedWithCertManager()
  const refusal = new KubeError({ kind: 'unavailable', message: 'not now' })
  world.answer = ({ verb, kind }) => (verb === 'delete' && kind === CERTIFICATE.kind ? refusal : undefined)
  world.edit(AUTO)
  await rounds(world, 10)
  assert.equal(world.all(CERTIFICATE.kind).length, 7)
  world.answer = () => undefined
  await rounds(world, CHANGE_ROUNDS)
  assert.deepEqual(world.all(CERTIFICATE.kind), [])
  assertSecure(world)
})

test('a Certificate that is edited or deleted by hand is put back', async () => {
  const [world] = await formedWithCertManager()
  const edited = world.get(CERTIFICATE.kind, 'kv-server-cert')
  assert.ok(edited !== undefined)
  const wanted = field(edited, 'spec')
  world.put({ ...edited, spec: { ...wanted, dnsNames: ['elsewhere.example'] } })
  world.objects.delete(`${CERTIFICATE.kind}/kv-0-peer-cert`)
  const before = world.calls.length
  await look(world)
  const made = world.calls.slice(before).filter(({ name }) => name === 'kv-0-peer-cert')
  assert.ok(
    made.some(({ verb }) => verb === 'create'),
    'one that is not seen may be somebody else’s',
  )
  assert.deepEqual(field(world.get(CERTIFICATE.kind, 'kv-server-cert'), 'spec'), wanted)
  assert.ok(world.get(CERTIFICATE.kind, 'kv-0-peer-cert') !== undefined)
  await rounds(world, 20)
  assertSecure(world)
})
