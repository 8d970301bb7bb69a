/** From plaintext to TLS and back on a running cluster: two rollouts each way, as the operator does them. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { credentials, status as Code, type ServiceError } from '@grpc/grpc-js'
import { makeAuthority, type Authority, type Issued } from '../../node-server/tls/testing/authority.ts'
import { EtcdClient } from './etcd-client.ts'
import { eventually, leaderOf, Rig, type Cluster, type MemberProcess } from './member-process.ts'

/** Long: an election that nobody asked for is the cluster's doing then, not the machine's. */
const TIMING = ['--heartbeat-interval=100', '--election-timeout=5000']

/** Schemes that are listened to, and advertised. */
type Phase = readonly ('http' | 'https')[]
const PLAIN: Phase = ['http']
const BOTH: Phase = ['http', 'https']
const SECURE: Phase = ['https']

let rig: Rig
let cluster: Cluster
let authority: Authority
let issued: Issued

before(async () => {
  rig = await Rig.open()
  authority = await makeAuthority(rig.directory)
  issued = await authority.issue('member')
  cluster = await rig.cluster(['a', 'b', 'c'], TIMING)
})
after(() => rig.close())

function by(scheme: string, url: string): string {
  return url.replace('http:', `${scheme}:`)
}

function flagsOf(member: MemberProcess, phase: Phase): string[] {
  const all = (url: string): string => phase.map((scheme) => by(scheme, url)).join(',')
  const { certFile, keyFile } = issued
  const certificates = [
    `--cert-file=${certFile}`,
    `--key-file=${keyFile}`,
    `--trusted-ca-file=${authority.caFile}`,
    `--peer-cert-file=${certFile}`,
    `--peer-key-file=${keyFile}`,
    `--peer-trusted-ca-file=${authority.caFile}`,
    '--client-cert-auth',
    '--peer-client-cert-auth',
  ]
  return [
    ...TIMING,
    '--initial-cluster-state=wait',
    `--listen-client-urls=${all(member.clientURL)}`,
    `--advertise-client-urls=${all(member.clientURL)}`,
    `--listen-peer-urls=${all(member.listenPeerURL)}`,
    `--initial-advertise-peer-urls=${all(member.peerURL)}`,
    ...(phase.includes('https') ? certificates : []),
  ]
}

async function clientsBy(scheme: 'http' | 'https'): Promise<readonly EtcdClient[]> {
  const [ca, key, cert] = await Promise.all(
    [authority.caFile, issued.keyFile, issued.certFile].map((path) => readFile(path)),
  )
  const channel = scheme === 'http' ? credentials.createInsecure() : credentials.createSsl(ca ?? null, key, cert)
  return cluster.members.map(({ ports }) => new EtcdClient(`localhost:${ports.client}`, channel))
}

/** As often as tells a gap; a writer without pauses takes the processor from members that start. */
const PAUSE_MS = 5

/** Writes one key after the other, each until it is taken, as a client does that repeats what is refused as Unavailable. */
class Writer {
  readonly failures: string[] = []
  written = 0
  #clients: readonly EtcdClient[]
  #isOver = false
  readonly #done: Promise<void>

  constructor(clients: readonly EtcdClient[]) {
    this.#clients = clients
    this.#done = this.#run()
  }

  /** From the next key on. */
  use(clients: readonly EtcdClient[]): void {
    for (const client of this.#clients) client.close()
    this.#clients = clients
  }

  async end(): Promise<void> {
    this.#isOver = true
    await this.#done
    this.use([])
  }

  async #run(): Promise<void> {
    for (let tries = 0; !this.#isOver; tries++) {
      try {
        await this.#clients[tries % this.#clients.length]?.put(`key/${this.written}`, 'v')
        this.written += 1
      } catch (error) {
        const { code, details } = error as ServiceError
        const isOurs = code === Code.CANCELLED || code === undefined // by `use`
        if (code !== Code.UNAVAILABLE && !isOurs) this.failures.push(`key/${this.written}: ${code} ${details}`)
      }
      await sleep(PAUSE_MS)
    }
  }
}

test('members go from plaintext to TLS by two rollouts under writes, and back, without an election or a failed write', async () => {
  const writer = new Writer(await clientsBy('http'))
  let { term } = await (await leaderOf(cluster.members)).leader.status()
  const roll = async (phase: Phase): Promise<void> => {
    for (const member of cluster.members) {
      const wasLeader = (await member.status()).role === 'leader'
      const { code } = await member.kill('SIGTERM')
      assert.equal(code, 0)
      await member.start(flagsOf(member, phase))
      await member.isReady()
      await eventually('all know where it is', async () => {
        for (const each of cluster.members) {
          const { members } = await each.status()
          const urls = members.find(({ name }) => name === member.name)
          const all = (url: string): readonly string[] => phase.map((scheme) => by(scheme, url))
          assert.deepEqual(urls?.peerURLs, all(member.peerURL))
          assert.deepEqual(urls.clientURLs, all(member.clientURL))
        }
      })
      const expected = { schemes: phase, advertised: phase[0] }
      const { tls } = await member.status()
      if (phase.includes('https')) assert.partialDeepStrictEqual(tls, { client: expected, peer: expected })
      else assert.deepEqual(tls, {})
      // A leader that stops hands on, and that is a term.
      if (wasLeader) term += 1
      assert.equal((await (await leaderOf(cluster.members)).leader.status()).term, term)
    }
  }
  await roll(BOTH)
  writer.use(await clientsBy('https'))
  await roll(SECURE)
  for (const { clientURL } of cluster.members) await assert.rejects(fetch(`${clientURL}/version`))
  await roll(BOTH)
  writer.use(await clientsBy('http'))
  await roll(PLAIN)
  await writer.end()
  assert.deepEqual(writer.failures, [])
  for (const { etcd } of cluster.members) {
    const keys = await etcd.all('linearizable')
    for (let i = 0; i < writer.written; i++) assert.ok(keys.has(`key/${i}`), `key/${i} of ${writer.written}`)
  }
})
