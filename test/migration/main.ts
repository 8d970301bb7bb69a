/**
 * `npm run test:migration`: a Kubernetes moves from an etcd to ours and from ours to another etcd, each time by a snapshot.
 * `--programs DIR` names a folder with etcd, etcdctl, etcdutl and kube; without it they are built from test/e2e/peers,
 * which needs Go. Exit codes: 0 everything was the same, 1 something was not.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Target } from '../conformance/case.ts'
import { startKubernetes } from '../conformance/real.ts'
import { ensureMigration } from '../e2e/machine/peers.ts'
import { createReport } from '../e2e/report.ts'
import { change, fill, objects, OBJECTS, staysQuiet } from './objects.ts'
import { revisionOf, startStore, type Kind, type Place } from './stores.ts'

const ROOT = join(import.meta.dirname, '..', '..')

interface Left {
  readonly snapshot: string
  readonly revision: number
  readonly hash: string
  readonly objects: readonly string[]
}

class Migration {
  readonly #place: Place
  failures = 0

  constructor(place: Place) {
    this.#place = place
  }

  #expect(what: string, isSo: boolean): void {
    console.log(`${isSo ? 'ok     ' : 'FAILED '}${what}`)
    if (!isSo) this.failures += 1
  }

  /** A Kubernetes on a store of that kind, made from what the one before has left; what it leaves for the next. */
  async stay(kind: Kind, name: string, before?: Left): Promise<Left> {
    const store = await startStore(this.#place, kind, name, before?.snapshot)
    try {
      if (before !== undefined) {
        const hash = await store.hashKv(before.revision)
        this.#expect(`${name}: the hash of all keys at revision ${before.revision} is ${hash}`, hash === before.hash)
      }
      const kept = await this.#live(store.clientPort, name, before)
      const snapshot = join(this.#place.folder, `${name}.db`)
      await store.save(snapshot)
      const revision = await revisionOf(this.#place, snapshot)
      return { snapshot, revision, hash: await store.hashKv(revision), objects: kept }
    } finally {
      await store.stop()
    }
  }

  async #live(storePort: number, name: string, before: Left | undefined): Promise<readonly string[]> {
    const kubernetes = await startKubernetes(this.#place.programs, storePort)
    try {
      return await this.#use(kubernetes, name, before)
    } finally {
      await kubernetes.close()
    }
  }

  async #use(kubernetes: Target, name: string, before: Left | undefined): Promise<readonly string[]> {
    if (before === undefined) {
      await fill(kubernetes)
      await staysQuiet(kubernetes) // the loops write the status of what is new
      return objects(kubernetes)
    }
    const found = await objects(kubernetes)
    const isSame = found.length === before.objects.length && found.every((text, i) => text === before.objects[i])
    this.#expect(`${name}: ${found.length} objects, each as it was, its version included`, isSame)
    this.#expect(`${name}: control loops find nothing to do`, await staysQuiet(kubernetes))
    await change(kubernetes)
    return objects(kubernetes)
  }
}

const { values } = parseArgs({ options: { programs: { type: 'string' } } })
const programs = values.programs ?? (await build())
const folder = mkdtempSync(join(tmpdir(), 'raftkv-migration-'))
const migration = new Migration({ programs, folder })
try {
  console.log(`${OBJECTS} objects and what was done to them`)
  const etcd = await migration.stay('etcd', 'etcd')
  const raftkv = await migration.stay('raftkv', 'raftkv', etcd)
  await migration.stay('etcd', 'etcd-again', raftkv)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
console.log(`${migration.failures} failures`)
process.exitCode = migration.failures === 0 ? 0 : 1

function build(): Promise<string> {
  const cache = join(ROOT, '.cache', 'e2e')
  mkdirSync(cache, { recursive: true })
  return ensureMigration(createReport(console.log, Date.now), ROOT, cache)
}
