/** What the writers of a namespace were promised, and what is there. */
import { z } from 'zod'
import type { Put, StoredKey } from '../checks/writes.ts'
import { CLIENT_SERVICE, pathsOf, WRITERS, WRITERS_PORT } from '../names.ts'
import { waitFor } from '../wait.ts'
import { readAll, withEtcdctl } from './etcdctl.ts'
import type { Kube } from './kube.ts'
import { writersPod, type WritersOptions } from './manifests.ts'

const History = z.array(
  z.object({
    writer: z.number(),
    number: z.number(),
    mayRepeat: z.boolean(),
    key: z.string(),
    value: z.string(),
    sentMs: z.number(),
    answeredMs: z.number(),
    revision: z.number().optional(),
    problem: z.string().optional(),
  }),
)

export interface Written {
  readonly puts: readonly Put[]
  readonly stored: readonly StoredKey[]
}

/** Resolves at the first acknowledged put. */
export async function startWriting(kube: Kube, options: WritersOptions): Promise<void> {
  await kube.kubectl(['apply', '-f', '-'], { input: writersPod(options) })
  await waitFor('a first acknowledged put', { timeoutMs: 60_000 }, async () => {
    const history = await kube.get(`${pathsOf(options.namespace).podPort(WRITERS, WRITERS_PORT)}/history?from=0`)
    return JSON.stringify(history).includes('"revision"') ? true : undefined
  })
}

/** They go on over the other scheme from their next put on. */
export async function switchWriters(kube: Kube, namespace: string, scheme: 'http' | 'https'): Promise<void> {
  await kube.get(`${pathsOf(namespace).podPort(WRITERS, WRITERS_PORT)}/use?scheme=${scheme}`)
}

/** Ends the writing and returns all of it. */
export async function stopWriting(kube: Kube, namespace: string): Promise<readonly Put[]> {
  const url = pathsOf(namespace).podPort(WRITERS, WRITERS_PORT)
  await kube.get(`${url}/stop`)
  const puts: Put[] = []
  for (;;) {
    const page = History.parse(await kube.get(`${url}/history?from=${puts.length}`))
    for (const { revision, problem, ...put } of page) {
      puts.push({ ...put, ...(revision !== undefined && { revision }), ...(problem !== undefined && { problem }) })
    }
    if (page.length === 0) return puts
  }
}

export function readBack(kube: Kube, namespace: string): Promise<StoredKey[]> {
  return withEtcdctl({ kube, namespace }, `service/${CLIENT_SERVICE}`, (etcdctl) => readAll(etcdctl, 'e2e/'))
}
