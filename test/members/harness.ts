/** Members as real processes on loopback, in a folder of their own, stopped by the IDs of the processes started here. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, credentials, type ServiceError } from '@grpc/grpc-js'
import type { AdminStatus } from '../../lib/admin-api.ts'
import { PutRequest, RangeRequest, RangeResponse } from '../../node-server/proto/generated/etcd/rpc.ts'
import { KeyValue } from '../../node-server/proto/generated/etcd/kv.ts'

const MAIN = join(import.meta.dirname, '..', '..', 'node-server', 'main.ts')
const DEADLINE_MS = 20_000

export interface Member {
  readonly name: string
  readonly dataDir: string
  readonly clientUrl: string
  readonly peerUrl: string
  readonly adminUrl: string
  process: ChildProcess | undefined
  /** Everything that it logged, from its first start on. */
  output: string
}

export class Members {
  readonly folder = mkdtempSync(join(tmpdir(), 'raftkv-members-'))
  readonly #members: Member[] = []

  async create(name: string): Promise<Member> {
    const [client, peer, admin] = await freePorts(3)
    const url = (port: number | undefined): string => `http://127.0.0.1:${port}`
    const dataDir = join(this.folder, name)
    const member = {
      name,
      dataDir,
      clientUrl: url(client),
      peerUrl: url(peer),
      adminUrl: url(admin),
      process: undefined,
      output: '',
    }
    this.#members.push(member)
    return member
  }

  /** `flags` come on top of those that say who the member is and where it listens. */
  start(member: Member, flags: readonly string[]): void {
    const own = [
      `--name=${member.name}`,
      `--data-dir=${member.dataDir}`,
      `--listen-client-urls=${member.clientUrl}`,
      `--advertise-client-urls=${member.clientUrl}`,
      `--listen-peer-urls=${member.peerUrl}`,
      `--initial-advertise-peer-urls=${member.peerUrl}`,
      `--listen-admin-urls=${member.adminUrl}`,
    ]
    const child = spawn(process.execPath, [MAIN, ...own, ...flags], { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (member.output += chunk.toString()))
    member.process = child
  }

  async close(): Promise<void> {
    await Promise.all(this.#members.map((member) => stop(member, 'SIGKILL')))
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Resolves with the exit code; null when the signal ended it. */
export async function stop(member: Member, signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
  const child = member.process
  if (child === undefined) return null
  member.process = undefined
  if (child.exitCode === null && child.signalCode === null) {
    child.kill(signal)
    await once(child, 'exit')
  }
  return child.exitCode
}

export async function exitCode(member: Member): Promise<number | null> {
  const child = member.process
  if (child !== undefined && child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return child?.exitCode ?? null
}

export async function status(member: Member): Promise<AdminStatus> {
  return (await (await fetch(`${member.adminUrl}/admin/v1/status`)).json()) as AdminStatus
}

export interface AdminAnswer {
  readonly status: number
  readonly body: Record<string, unknown>
}

export async function post(member: Member, path: string, body: object, token?: string): Promise<AdminAnswer> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const answer = await fetch(`${member.adminUrl}/admin/v1/${path}`, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
  })
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
}

/** Asks again until it holds, at most 20 s; a refused connection counts as "not yet". */
export async function until<Value>(what: string, ask: () => Promise<Value | undefined | false>): Promise<Value> {
  const deadline = Date.now() + DEADLINE_MS
  while (Date.now() < deadline) {
    const value = await ask().catch(() => undefined)
    if (value !== undefined && value !== false) return value
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error(`not within ${DEADLINE_MS} ms: ${what}`)
}

export function waitStatus(
  member: Member,
  what: string,
  holds: (status: AdminStatus) => boolean,
): Promise<AdminStatus> {
  return until(`${member.name} ${what}`, async () => {
    const answer = await status(member)
    return holds(answer) && answer
  })
}

export function leaderOf(members: readonly Member[]): Promise<Member> {
  return until('a leader', async () => {
    for (const member of members)
      if (member.process !== undefined && (await status(member)).role === 'leader') return member
    return undefined
  })
}

const unchanged = (bytes: Uint8Array): Buffer => Buffer.from(bytes)

/** One unary call; rejects with grpc-js's ServiceError. */
export function call(member: Member, path: string, request: Uint8Array): Promise<Buffer> {
  const client = new Client(new URL(member.clientUrl).host, credentials.createInsecure())
  return new Promise<Buffer>((resolve, reject) => {
    const deadline = Date.now() + 10_000
    client.makeUnaryRequest(
      path,
      unchanged,
      unchanged,
      Buffer.from(request),
      { deadline },
      (error: ServiceError | null, answer?: Buffer) => {
        client.close()
        if (error === null && answer !== undefined) resolve(answer)
        else reject(error ?? new Error('no answer'))
      },
    )
  })
}

export async function put(member: Member, key: string, value: string | Buffer): Promise<void> {
  const request = PutRequest.fromPartial({ key: Buffer.from(key), value: Buffer.from(value) })
  await call(member, '/etcdserverpb.KV/Put', PutRequest.encode(request).finish())
}

/** Linearizable. */
export async function get(member: Member, key: string): Promise<string | undefined> {
  const request = RangeRequest.encode(RangeRequest.fromPartial({ key: Buffer.from(key) })).finish()
  const { kvs } = RangeResponse.decode(await call(member, '/etcdserverpb.KV/Range', request))
  return kvs[0] === undefined ? undefined : KeyValue.decode(kvs[0]).value.toString()
}

async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
