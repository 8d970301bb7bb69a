/** CA and leaves of a running cluster are changed under load, the files switched as Kubernetes switches those of a Secret. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { copyFile, mkdir, readFile, realpath, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { credentials, type ChannelCredentials, type ServiceError } from '@grpc/grpc-js'
import { makeAuthority, type Authority } from '../../node-server/tls/testing/authority.ts'
import { EtcdClient } from './etcd-client.ts'
import { eventually, Rig, type Cluster, type MemberProcess } from './member-process.ts'

let rig: Rig
let cluster: Cluster
/** What members and clients alike find their files by. */
let secret: string

before(async () => {
  rig = await Rig.open()
  secret = join(rig.directory, 'secret')
})
after(() => rig.close())

let versions = 0

/** All files at once, by another target of the link that leads to them. */
async function publish(trusted: readonly Authority[], issuer: Authority): Promise<string> {
  const version = versions + 1
  const folder = join(rig.directory, `..${version}`)
  await mkdir(folder)
  const { certFile, keyFile } = await issuer.issue(`leaf-${version}`)
  await copyFile(certFile, join(folder, 'tls.crt'))
  await copyFile(keyFile, join(folder, 'tls.key'))
  const bundle = await Promise.all(trusted.map(({ caFile }) => readFile(caFile, 'utf8')))
  await writeFile(join(folder, 'ca.crt'), bundle.join('\n'))
  await symlink(folder, `${secret}.new`)
  await rename(`${secret}.new`, secret)
  versions = version
  return new X509Certificate(await readFile(certFile)).fingerprint256.replaceAll(':', '').toLowerCase()
}

async function channel(): Promise<ChannelCredentials> {
  const folder = await realpath(secret)
  const [ca, key, cert] = await Promise.all(
    ['ca.crt', 'tls.key', 'tls.crt'].map((name) => readFile(join(folder, name))),
  )
  return credentials.createSsl(ca ?? null, key, cert)
}

const clientOf = ({ ports }: MemberProcess, by: ChannelCredentials): EtcdClient =>
  new EtcdClient(`localhost:${ports.client}`, by)

/** Writes by one connection that stands, and by a new one for each key; nothing is written twice. */
class Load {
  readonly failures: string[] = []
  readonly written: string[] = []
  /** Of each who connects again all the time: which files it came by last. */
  readonly cameBy: number[] = []
  #keys = 0
  #isOver = false
  readonly #done: Promise<unknown>

  constructor(standing: readonly EtcdClient[]) {
    const standingWriters = standing.map(async (client) => {
      while (!this.#isOver) await this.#put(client)
      client.close()
    })
    const newcomers = cluster.members.map(async (member, i) => {
      while (!this.#isOver) {
        const version = versions
        const client = clientOf(member, await channel())
        await this.#put(client)
        this.cameBy[i] = version
        client.close()
      }
    })
    this.#done = Promise.all([...standingWriters, ...newcomers])
  }

  async end(): Promise<void> {
    this.#isOver = true
    await this.#done
  }

  async #put(client: EtcdClient): Promise<void> {
    const key = `key/${this.#keys++}`
    try {
      await client.put(key, 'v')
      this.written.push(key)
    } catch (error) {
      const { code, details } = error as ServiceError
      this.failures.push(`${code} ${details}`)
    }
  }
}

test('CA and leaves are changed step by step under load without a failed request, and then the old CA counts no more', async () => {
  const [old, next] = [await makeAuthority(rig.directory, 'old-ca'), await makeAuthority(rig.directory, 'next-ca')]
  await publish([old], old)
  const [cert, key, ca] = ['tls.crt', 'tls.key', 'ca.crt'].map((name) => join(secret, name))
  const sides = ['', 'peer-'].flatMap((side) => [
    `--${side}cert-file=${cert}`,
    `--${side}key-file=${key}`,
    `--${side}trusted-ca-file=${ca}`,
  ])
  const members = [await rig.member('a'), await rig.member('b'), await rig.member('c')]
  const secure = (url: string): string => url.replace('http:', 'https:')
  const flagsOf = (member: MemberProcess): string[] => [
    ...sides,
    '--client-cert-auth',
    '--peer-client-cert-auth',
    `--listen-client-urls=${secure(member.clientURL)}`,
    `--advertise-client-urls=${secure(member.clientURL)}`,
    `--listen-peer-urls=${secure(member.listenPeerURL)}`,
    `--initial-advertise-peer-urls=${secure(member.peerURL)}`,
    `--initial-cluster=${members.map(({ name, peerURL }) => `${name}=${secure(peerURL)}`).join(',')}`,
  ]
  cluster = { members, flags: [] }
  await Promise.all(members.map((member) => member.start(flagsOf(member))))
  await Promise.all(members.map((member) => member.isReady()))

  const load = new Load(await Promise.all(members.map(async (member) => clientOf(member, await channel()))))
  for (const [trusted, issuer] of [
    [[old, next], old],
    [[old, next], next],
    [[next], next],
  ] as const) {
    const certificate = await publish(trusted, issuer)
    for (const member of members) {
      const { tls } = await member.status()
      for (const side of [tls?.client, tls?.peer]) {
        assert.deepEqual(
          [side?.certificate, side?.trusted.length, side?.problem],
          [certificate, trusted.length, undefined],
        )
      }
    }
    const current = members.map(() => versions)
    await eventually('all newcomers come by it', async () => assert.deepEqual(load.cameBy, current))
  }
  await load.end()
  assert.deepEqual(load.failures, [])

  const [first] = members
  assert.ok(first !== undefined)
  const { certFile, keyFile } = await old.issue('left-behind')
  const bundle = await readFile(join(secret, 'ca.crt'))
  const left = clientOf(first, credentials.createSsl(bundle, await readFile(keyFile), await readFile(certFile)))
  await assert.rejects(left.put('old', 'v'), { code: 14 })
  left.close()
  // Its connections to the others are all new.
  await first.kill('SIGTERM')
  await first.start(flagsOf(first))
  await first.isReady()
  const client = clientOf(first, await channel())
  const keys = await client.all('linearizable')
  for (const key of load.written) assert.ok(keys.has(key), key)
  client.close()
})
