/** What is started as a member. */
import { join } from 'node:path'
import type { Program } from './cluster.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const MAIN = join(ROOT, 'node-server', 'main.ts')

/** Ours as the image starts it: with Node's cache of what it makes of the sources, which costs memory while there is none. */
export function ours(nodeFlags: readonly string[] = [], flags: readonly string[] = []): Program {
  return {
    name: 'ours',
    command: [process.execPath, '--max-semi-space-size=32', ...nodeFlags, MAIN, ...flags],
    environment: { NODE_COMPILE_CACHE: join(ROOT, '.cache', 'compile') },
  }
}

export const etcd = (path: string): Program => ({ name: 'etcd', command: [path] })
