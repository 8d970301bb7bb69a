/**
 * What well-behaved clients get while others attack the ports of a member: calls at an even rate, undisturbed and then under
 * each attack. Servers, attackers and clients are processes of their own. `node test/grpc/abuse.ts`, two minutes; with
 * `engine` the client port alone, with `member` the others.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, credentials } from '@grpc/grpc-js'
import { ok } from '../../lib/result.ts'
import { serveBuiltIn } from '../../node-server/grpc/built-in.ts'
import type { RpcObserver } from '../../node-server/grpc/service.ts'
import { makeAuthority, tlsOptions } from '../../node-server/tls/testing/authority.ts'
import { leaderOf, Rig } from '../members/member-process.ts'
import { ask, DEADLINE_MS, holdsOut } from './under-attack.ts'

const CALLS_PER_SECOND = 300
const PUTS_PER_SECOND = 100
const LARGE = Buffer.alloc(1024 * 1024)
const MIB = 1024 * 1024

const observer: RpcObserver = {
  method: () => ({ started: () => undefined, handled: () => undefined }),
  receivedBytes: () => undefined,
  sentBytes: () => undefined,
  failed: (path, error) => console.error(path, error),
}

/** The process that is attacked; says its memory when asked. */
async function serve(port: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'raftkv-abuse-'))
  const { certFile, keyFile } = await (await makeAuthority(directory)).issue('server')
  const server = await serveBuiltIn({
    listenURLs: [`http://127.0.0.1:${port}`, `https://127.0.0.1:${port}`],
    tls: tlsOptions({ certFile, keyFile }),
    services: {
      '/test.Echo/Now': { kind: 'unary', handle: (request) => ok(request) },
      '/test.Echo/Large': { kind: 'unary', handle: () => ok(LARGE) },
    },
    maxReceiveBytes: MIB,
    observer,
  })
  process.on('message', () => process.send?.(process.memoryUsage().rss))
  process.on('disconnect', () => {
    rmSync(directory, { recursive: true })
    process.exit(0)
  })
  process.send?.(server.addresses.length)
}

/** One address with both schemes must be named. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}

const same = (bytes: Buffer): Buffer => bytes

/** Of 4 clients in turn, each with a connection of its own. */
function callsOf(address: string): { readonly call: (i: number) => Promise<boolean>; readonly close: () => void } {
  const clients = Array.from(
    { length: 4 },
    () => new Client(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 }),
  )
  return {
    call: (i) =>
      new Promise((resolve) => {
        const options = { deadline: Date.now() + DEADLINE_MS }
        const client = clients[i % clients.length]
        client?.makeUnaryRequest('/test.Echo/Now', same, same, Buffer.alloc(256), options, (error) =>
          resolve(error === null),
        )
      }),
    close: () => clients.forEach((client) => client.close()),
  }
}

async function attackClientPort(): Promise<boolean> {
  const port = await freePort()
  const server = fork(import.meta.filename, ['serve', String(port)])
  await once(server, 'message')
  const { call, close } = callsOf(`127.0.0.1:${port}`)
  const note = async (): Promise<string> => `server ${(Number(await ask(server, 'memory')) / MIB).toFixed(0)} MiB`
  try {
    return await holdsOut({ target: 'client', port, callsPerSecond: CALLS_PER_SECOND, call, note })
  } finally {
    close()
    server.disconnect()
  }
}

/** Puts through the leader of three members, whose other ports are attacked; and that there is an answer on the one for probes. */
async function attackMember(): Promise<boolean> {
  const rig = await Rig.open()
  try {
    const { members } = await rig.cluster(['m0', 'm1', 'm2'])
    const { leader } = await leaderOf(members)
    const { term } = await leader.status()
    const put = (i: number): Promise<boolean> =>
      leader.etcd.put(`k${i}`, 'v').then(
        () => true,
        () => false,
      )
    const probe = (): Promise<boolean> =>
      fetch(leader.adminURL('/livez'), { signal: AbortSignal.timeout(DEADLINE_MS) }).then(
        (response) => response.ok,
        () => false,
      )
    const note = async (): Promise<string> => ((await leader.status()).term === term ? 'no election' : 'ELECTIONS')
    const { peer, admin } = leader.ports
    const ofPeers = await holdsOut({ target: 'peer', port: peer, callsPerSecond: PUTS_PER_SECOND, call: put, note })
    const call = (i: number): Promise<boolean> => (i % 5 === 0 ? probe() : put(i))
    const ofAdmin = await holdsOut({ target: 'admin', port: admin, callsPerSecond: PUTS_PER_SECOND, call, note })
    return ofPeers && ofAdmin && (await leader.status()).term === term
  } finally {
    await rig.close()
  }
}

const [role, port] = process.argv.slice(2)
if (role === 'serve') await serve(Number(port))
else {
  const isCalm = [
    ...(role === 'member' ? [] : [await attackClientPort()]),
    ...(role === 'engine' ? [] : [await attackMember()]),
  ]
  process.exitCode = isCalm.every(Boolean) ? 0 : 1
}
