/** The directory that keeps the sandbox's state: one sandbox at a time, thrown away on request. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { err, ok, type Result } from '../../lib/result.ts'
import type { DirectoryLock } from '../../node-server/storage/lock.ts'
import { lockDirectory } from '../../node-server/storage/lock.ts'
import { endLeftovers } from '../kubelet/process.ts'

export interface StateDirectory {
  readonly path: string
  readonly kubeconfig: string
  readonly log: string
  readonly volumes: string
  readonly apiServer: string
  readonly kubelet: string
  readonly network: string
  readonly tls: string
  /** For clients of the sample cluster. */
  readonly client: string
  readonly lock: DirectoryLock
  /** Processes of a sandbox that was killed, which were still there. */
  readonly leftovers: number
}

/** Present in every directory that is ours, so that `--fresh` empties no other one. */
const MARK = 'raftkv-sandbox'
/** The lock and the mark stay. */
const KEPT = new Set(['lock', MARK])

/** The error says in words what is in the way. */
export async function openStateDirectory(path: string, isFresh: boolean): Promise<Result<StateDirectory, string>> {
  const made = makeDirectory(path)
  if (!made.ok) return made
  const lock = await lockDirectory(path).catch((error: unknown) => err(explain(path, error)))
  if (!lock.ok) {
    return err(lock.error.startsWith('another process') ? `a sandbox runs already: ${lock.error}` : lock.error)
  }
  const kubelet = join(path, 'kubelet')
  const leftovers = await endLeftovers(join(kubelet, 'processes'))
  if (isFresh) {
    for (const name of readdirSync(path)) {
      if (!KEPT.has(name)) rmSync(join(path, name), { recursive: true, force: true })
    }
  }
  const at = (name: string): string => join(path, name)
  return ok({
    path,
    kubelet,
    kubeconfig: at('kubeconfig'),
    log: at('sandbox.log'),
    volumes: at('volumes'),
    apiServer: at('api-server'),
    network: at('network.json'),
    tls: at('tls'),
    client: at('client'),
    lock: lock.value,
    leftovers,
  })
}

function makeDirectory(path: string): Result<undefined, string> {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    const names = readdirSync(path)
    if (names.length > 0 && !names.includes(MARK)) {
      return err(`${path} holds files that are not the sandbox's: give it a directory of its own with --directory`)
    }
    writeFileSync(join(path, MARK), 'The state of `npm start`, removed by `npm start -- --fresh`.\n')
    return ok(undefined)
  } catch (error) {
    return err(explain(path, error))
  }
}

function explain(path: string, error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error)
  return `cannot write to ${path}: ${reason}. Choose another place with --directory`
}
