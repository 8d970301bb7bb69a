/**
 * Keeps all that a run says of itself, for the check that no Secret is in it: what containers say, events, statuses and specs as they
 * change, and, where the box runs, with which arguments processes run.
 */
import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { disclosedIn, type SecretSeen, tracesOf } from '../checks/secrets.ts'
import type { Kube } from './kube.ts'
import { keepLogs } from './log-keeper.ts'

/** Shorter lives go unseen, unless they are in a pod: its spec has their arguments. */
const PROCESSES_EVERY_MS = 500

/** Beside logs. */
const TOLD = [
  '/api/v1/events',
  '/api/v1/pods',
  '/apis/apps/v1/statefulsets',
  '/apis/apps/v1/deployments',
  '/apis/batch/v1/jobs',
  '/apis/raftkv.dev/v1alpha1/raftclusters',
  '/apis/raftkv.dev/v1alpha1/raftbackups',
  '/apis/raftkv.dev/v1alpha1/scheduledraftbackups',
]

const Secret = z.object({
  metadata: z.object({ name: z.string(), namespace: z.string() }),
  data: z.record(z.string(), z.string()).default({}),
})

export interface OutputKeeper {
  /** Values of Secrets, of any moment of the run, that are in what was kept or in the files of a folder beside it. */
  disclosed(others: readonly string[]): { readonly values: number; readonly problems: readonly string[] }
  stop(): void
}

export interface OutputOptions {
  /** Emptied first. */
  readonly folder: string
  /** Those of the run: what others have on a given cluster is none of its business. */
  readonly namespaces: readonly string[]
  readonly isBox: boolean
}

export function keepOutput(kube: Kube, { folder, namespaces, isBox }: OutputOptions): OutputKeeper {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const own = new Set(namespaces)
  const secrets: SecretSeen[] = []
  kube.watch('/api/v1/secrets', (object) => {
    const { metadata, data } = Secret.parse(object)
    if (own.has(metadata.namespace)) secrets.push({ name: `${metadata.namespace}/${metadata.name}`, data })
  })
  for (const path of TOLD) {
    const file = join(folder, `${path.split('/').at(-1)}.jsonl`)
    kube.watch(path, (object) => {
      if (own.has(object.metadata.namespace)) appendFileSync(file, `${JSON.stringify(object)}\n`)
    })
  }
  const logs = keepLogs(kube, own, folder)
  const processes = isBox ? setInterval(noteProcesses(join(folder, 'processes.txt')), PROCESSES_EVERY_MS) : undefined
  return {
    disclosed(others) {
      const traces = tracesOf(secrets)
      const problems = [folder, ...others].flatMap((place) =>
        readdirSync(place, { withFileTypes: true })
          .filter((entry) => entry.isFile())
          .flatMap(({ name }) =>
            disclosedIn(readFileSync(join(place, name), 'utf8'), traces).map((owner) => `${name} has ${owner}`),
          ),
      )
      return { values: traces.size, problems }
    },
    stop() {
      clearInterval(processes)
      logs.stop()
    },
  }
}

/** Each command line once. All processes of the box are in its namespace, those of containers too. */
function noteProcesses(file: string): () => void {
  const known = new Set<string>()
  return () => {
    for (const id of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      const command = commandLine(id)
      if (known.has(command)) continue
      known.add(command)
      appendFileSync(file, `${command}\n`)
    }
  }
}

/** Empty for one that has ended meanwhile. */
function commandLine(id: string): string {
  try {
    return readFileSync(`/proc/${id}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}
