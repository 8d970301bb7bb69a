/**
 * What well-behaved clients get while others attack: calls at an even rate, undisturbed and then under each attack. Server,
 * attackers and clients are processes of their own. `node test/grpc/abuse.ts`, less than a minute.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, credentials } from '@grpc/grpc-js'
import { ok } from '../../lib/result.ts'
import { serveBuiltIn } from '../../node-server/grpc/built-in.ts'
import type { RpcObserver } from '../../node-server/grpc/service.ts'
import { makeAuthority, tlsOptions } from '../../node-server/tls/testing/authority.ts'
import { attack, ATTACKS } from './attacks.ts'

const CALLS_PER_SECOND = 300
const MEASURED_MS = 3000
/** Of the calls that are answered undisturbed, so many are answered under attack. */
const LEAST_SHARE = 0.9
const DEADLINE_MS = 500
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

interface Measured {
  readonly answered: number
  readonly p99Ms: number
}

const same = (bytes: Buffer): Buffer => bytes

async function measure(clients: readonly Client[]): Promise<Measured> {
  const times: number[] = []
  const calls: Promise<void>[] = []
  const startMs = performance.now()
  for (let i = 0; i < (CALLS_PER_SECOND * MEASURED_MS) / 1000; i++) {
    const dueMs = startMs + (i * 1000) / CALLS_PER_SECOND
    const waitMs = dueMs - performance.now()
    if (waitMs > 1) await sleep(waitMs)
    const client = clients[i % clients.length]
    calls.push(
      new Promise((resolve) => {
        const beganMs = performance.now()
        const options = { deadline: Date.now() + DEADLINE_MS }
        client?.makeUnaryRequest('/test.Echo/Now', same, same, Buffer.alloc(256), options, (error) => {
          if (error === null) times.push(performance.now() - beganMs)
          resolve()
        })
      }),
    )
  }
  await Promise.all(calls)
  times.sort((a, b) => a - b)
  return { answered: times.length, p99Ms: times[Math.floor(times.length * 0.99)] ?? Infinity }
}

async function ask(child: ChildProcess, message: string): Promise<unknown> {
  child.send(message)
  const [answer] = await once(child, 'message')
  return answer
}

async function main(): Promise<void> {
  const port = await freePort()
  const server = fork(import.meta.filename, ['serve', String(port)])
  await once(server, 'message')
  const attackers = fork(import.meta.filename, ['attack', String(port)])
  const clients = Array.from(
    { length: 4 },
    () => new Client(`127.0.0.1:${port}`, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 }),
  )
  await measure(clients) // warm
  const undisturbed = await measure(clients)
  console.log(`undisturbed: ${undisturbed.answered} answered, p99 ${undisturbed.p99Ms.toFixed(1)} ms`)
  for (const { name } of ATTACKS) {
    await ask(attackers, name)
    const { answered, p99Ms } = await measure(clients)
    await ask(attackers, '')
    const memory = Number(await ask(server, 'memory')) / MIB
    const isCalm = answered >= undisturbed.answered * LEAST_SHARE
    if (!isCalm) process.exitCode = 1
    console.log(
      `${isCalm ? 'ok    ' : 'FAILED'} ${name}: ${answered} answered, p99 ${p99Ms.toFixed(1)} ms; server ${memory.toFixed(0)} MiB`,
    )
  }
  for (const client of clients) client.close()
  server.disconnect()
  attackers.disconnect()
}

/** The process that attacks: by name, until it is given none. */
function attackOnDemand(port: number): void {
  let end = (): void => undefined
  process.on('message', (name) => {
    end()
    const chosen = ATTACKS.find((each) => each.name === name)
    end = chosen === undefined ? (): void => undefined : attack(chosen, port)
    process.send?.('done')
  })
  process.on('disconnect', () => process.exit(0))
}

const [role, port] = process.argv.slice(2)
if (role === 'serve') await serve(Number(port))
else if (role === 'attack') attackOnDemand(Number(port))
else await main()
