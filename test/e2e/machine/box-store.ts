/** The store below the box's Kubernetes: three members, of etcd or of ours, on loopback. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { daemon } from '../process.ts'

export type StoreKind = 'etcd' | 'raftkv'

export interface BoxStore {
  readonly kind: StoreKind
  readonly clientUrls: readonly string[]
  /** SIGKILL; resolves once the process has gone. */
  kill(member: number): Promise<void>
  /** The same member again: its data directory, its ports. */
  restart(member: number): void
}

export interface BoxStoreOptions {
  readonly kind: StoreKind
  /** Of the repository, for our members' sources. */
  readonly root: string
  readonly folder: string
  readonly programs: string
}

const MEMBERS = [0, 1, 2] as const
const clientUrl = (member: number): string => `http://127.0.0.1:${23979 + 10 * member}`
const peerUrl = (member: number): string => `http://127.0.0.1:${23980 + 10 * member}`

export const STORE_URLS: readonly string[] = MEMBERS.map(clientUrl)

export function startStore(options: BoxStoreOptions): BoxStore {
  const processes = new Map<number, ChildProcess>()
  const start = (member: number): void => {
    const log = join(options.folder, 'logs', `${options.kind}-${member}.log`)
    processes.set(member, daemon(command(options, member), log, options.folder))
  }
  mkdirSync(join(options.folder, 'store'), { recursive: true })
  for (const member of MEMBERS) start(member)
  return {
    kind: options.kind,
    clientUrls: STORE_URLS,
    restart: start,
    async kill(member) {
      const process = processes.get(member)
      if (process === undefined || process.exitCode !== null) throw new Error(`store member ${member} does not run`)
      const gone = once(process, 'exit')
      process.kill('SIGKILL')
      await gone
    },
  }
}

function command({ kind, root, folder, programs }: BoxStoreOptions, member: number): string[] {
  const flags = [
    `--name=store-${member}`,
    `--data-dir=${join(folder, 'store', String(member))}`,
    `--listen-client-urls=${clientUrl(member)}`,
    `--advertise-client-urls=${clientUrl(member)}`,
    `--listen-peer-urls=${peerUrl(member)}`,
    `--initial-advertise-peer-urls=${peerUrl(member)}`,
    `--initial-cluster=${MEMBERS.map((id) => `store-${id}=${peerUrl(id)}`).join(',')}`,
  ]
  if (kind === 'etcd') return [join(programs, 'etcd'), ...flags, '--log-level=warn']
  return [process.execPath, '--max-semi-space-size=32', join(root, 'node-server', 'main.ts'), ...flags]
}
