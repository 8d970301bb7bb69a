/** Where etcd and the load programs are: in the cache of the end-to-end tests, built when they are not there yet. */
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { ensureBenchmark } from '../test/e2e/machine/peers.ts'
import { createReport } from '../test/e2e/report.ts'
import { parseSettings } from '../test/e2e/settings.ts'
import type { Tools } from './tool.ts'

const ROOT = join(import.meta.dirname, '..')

export interface Programs {
  readonly etcd: string
  readonly tools: Tools
}

/** `folder`: of programs that are built already. */
export async function ensurePrograms(folder: string | undefined): Promise<Programs> {
  const found = folder === undefined ? await built() : resolve(folder)
  const path = (name: string): string => join(found, name)
  return { etcd: path('etcd'), tools: { benchmark: path('benchmark'), load: path('load') } }
}

function built(): Promise<string> {
  const settings = parseSettings({ ...process.env, KUBECONFIG: undefined, RAFTKV_E2E_IMAGE: undefined }, ROOT)
  if (!settings.ok) throw new Error(settings.problem)
  const { root, cache } = settings.settings
  mkdirSync(cache, { recursive: true })
  return ensureBenchmark(createReport(console.error, Date.now), root, cache)
}
