/** One store at a time, on ports of this machine: an etcd, or a member of ours, each from a snapshot of the one before. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePorts } from '../conformance/real.ts'
import { attempt, run } from '../e2e/process.ts'

const MEMBER = join(import.meta.dirname, '..', '..', 'node-server', 'main.ts')
const START_MS = 30_000

export interface Place {
  /** Of etcd, etcdctl and etcdutl. */
  readonly programs: string
  readonly folder: string
}

export type Kind = 'etcd' | 'raftkv'

export interface RunningStore {
  readonly clientPort: number
  /** Of all keys at that revision, by `etcdctl endpoint hashkv`. */
  hashKv(revision: number): Promise<string>
  /** By `etcdctl snapshot save`. */
  save(path: string): Promise<void>
  stop(): Promise<void>
}

/** Fills a directory that is to be a member's. */
export type Make = (member: {
  readonly name: string
  readonly directory: string
  readonly peerURL: string
}) => Promise<void>

/** `from`: the snapshot that it is made from, or what makes it; neither: it is new. */
export async function startStore(place: Place, kind: Kind, name: string, from?: string | Make): Promise<RunningStore> {
  const [client, peer] = await freePorts()
  const directory = join(place.folder, name)
  const peerURL = `http://127.0.0.1:${peer}`
  const cluster = [`--name=${name}`, `--initial-cluster=${name}=${peerURL}`, `--initial-advertise-peer-urls=${peerURL}`]
  const own = [process.execPath, MEMBER]
  const restore = kind === 'etcd' ? [join(place.programs, 'etcdutl')] : own
  if (typeof from === 'string')
    await run([...restore, 'snapshot', 'restore', from, `--data-dir=${directory}`, ...cluster])
  else await from?.({ name, directory, peerURL })
  const server = kind === 'etcd' ? [join(place.programs, 'etcd')] : own
  const url = `http://127.0.0.1:${client}`
  const urls = [`--listen-client-urls=${url}`, `--advertise-client-urls=${url}`, `--listen-peer-urls=${peerURL}`]
  const log = openSync(join(place.folder, `${name}.log`), 'w')
  const [program = '', ...args] = [...server, `--data-dir=${directory}`, ...cluster, ...urls]
  const child = spawn(program, args, { stdio: ['ignore', log, log] })
  const etcdctl = [join(place.programs, 'etcdctl'), `--endpoints=${url}`]
  const store: RunningStore = {
    clientPort: client,
    hashKv: async (revision) => {
      const [answer] = JSON.parse(
        await run([...etcdctl, 'endpoint', 'hashkv', `--rev=${revision}`, '--write-out=json']),
      ) as readonly [{ readonly HashKV: { readonly hash: number; readonly compact_revision?: number } }]
      return `${answer.HashKV.hash} (compacted to ${answer.HashKV.compact_revision ?? 0})`
    },
    save: async (path) => void (await run([...etcdctl, 'snapshot', 'save', path])),
    stop: () => stop(child),
  }
  await untilServing(etcdctl, child)
  return store
}

/** `etcdutl snapshot status`, of a snapshot of either. */
export async function revisionOf({ programs }: Place, snapshot: string): Promise<number> {
  const status = await run([join(programs, 'etcdutl'), 'snapshot', 'status', snapshot, '--write-out=json'])
  return (JSON.parse(status) as { readonly revision: number }).revision
}

async function untilServing(etcdctl: readonly string[], child: ChildProcess): Promise<void> {
  const endMs = performance.now() + START_MS
  for (;;) {
    const { code, stderr } = await attempt([...etcdctl, 'endpoint', 'health', '--command-timeout=2s'])
    if (code === 0) return
    if (child.exitCode !== null || performance.now() > endMs) {
      await stop(child)
      throw new Error(`the store does not serve: ${stderr}`)
    }
    await delay(200)
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}
