/** A cluster as its user has it: kubectl, and the API by `kubectl proxy` for what is asked often. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { run, type RunOptions } from '../process.ts'

const KubeObjectSchema = z.looseObject({
  kind: z.string().optional(),
  metadata: z.looseObject({
    name: z.string().default(''),
    namespace: z.string().default(''),
    uid: z.string().default(''),
    generation: z.number().default(0),
    deletionTimestamp: z.string().optional(),
  }),
})
const ListSchema = z.object({ items: z.array(KubeObjectSchema) })
const WatchSchema = z.object({ type: z.string(), object: KubeObjectSchema })

export type KubeObject = z.output<typeof KubeObjectSchema>

export interface Answer {
  readonly status: number
  readonly text: string
}

export interface Kube {
  /** Of the proxy, without a slash at its end. */
  readonly url: string
  /** Any request; only what got no answer at all is thrown. */
  send(method: string, path: string, body?: object): Promise<Answer>
  kubectl(args: readonly string[], options?: RunOptions): Promise<string>
  /** Undefined when there is no such path. */
  get(path: string): Promise<unknown>
  object(path: string): Promise<KubeObject | undefined>
  list(path: string): Promise<readonly KubeObject[]>
  /** Calls `see` for every object that is there, and for every change from then on; `isGone` for one that was deleted. */
  watch(path: string, see: (object: KubeObject, isGone: boolean) => void): void
  /** Environment for programs that read KUBECONFIG. */
  readonly env: Readonly<Record<string, string>>
  close(): void
}

export async function connect(kubeconfig: string): Promise<Kube> {
  const env = { KUBECONFIG: kubeconfig }
  const proxy = spawn('kubectl', ['proxy', '--port=0'], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'ignore'], // it complains of every request that is given up
  })
  process.once('exit', () => proxy.kill())
  const url = await new Promise<string>((resolve, reject) => {
    proxy.once('error', reject)
    proxy.once('exit', (code) => reject(new Error(`kubectl proxy ended with ${code}`)))
    createInterface(proxy.stdout).on('line', (line) => {
      const found = /127\.0\.0\.1:\d+/.exec(line)
      if (found !== null) resolve(`http://${found[0]}`)
    })
  })
  const closing = new AbortController()
  const get = async (path: string): Promise<unknown> => {
    const answer = await fetch(url + path, { signal: AbortSignal.any([closing.signal, AbortSignal.timeout(20_000)]) })
    if (answer.status === 404) {
      await answer.body?.cancel()
      return undefined
    }
    const text = await answer.text()
    if (!answer.ok) throw new Error(`GET ${path} answers ${answer.status}: ${text.slice(0, 300)}`)
    return JSON.parse(text)
  }
  const list = async (path: string): Promise<readonly KubeObject[]> =>
    ListSchema.parse((await get(path)) ?? { items: [] }).items
  return {
    url,
    env,
    async send(method, path, body) {
      const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(20_000)])
      const headers = { 'content-type': 'application/json' }
      const answer = await fetch(url + path, { method, signal, ...(body && { headers, body: JSON.stringify(body) }) })
      return { status: answer.status, text: await answer.text() }
    },
    get,
    list,
    kubectl: (args, options) => run(['kubectl', ...args], { ...options, env: { ...options?.env, ...env } }),
    async object(path) {
      const object = await get(path)
      return object === undefined ? undefined : KubeObjectSchema.parse(object)
    },
    watch(path, see) {
      void follow(url + path, () => list(path), see, closing.signal)
    },
    close() {
      closing.abort()
      proxy.kill()
    },
  }
}

/** Lists and watches, again and again until the end: a watch that breaks loses nothing but the time of a deletion. */
async function follow(
  url: string,
  list: () => Promise<readonly KubeObject[]>,
  see: (object: KubeObject, isGone: boolean) => void,
  signal: AbortSignal,
): Promise<void> {
  const known = new Map<string, KubeObject>()
  while (!signal.aborted) {
    try {
      const there = await list()
      const uids = new Set(there.map(({ metadata }) => metadata.uid))
      for (const [uid, object] of known) {
        if (uids.has(uid)) continue
        known.delete(uid)
        see(object, true)
      }
      const answer = await fetch(`${url}${url.includes('?') ? '&' : '?'}watch=1`, { signal })
      if (!answer.ok || answer.body === null) throw new Error(`watch answers ${answer.status}`)
      for await (const line of lines(answer.body)) {
        const event = WatchSchema.parse(JSON.parse(line))
        if (event.type === 'ERROR') break
        const isGone = event.type === 'DELETED'
        if (isGone) known.delete(event.object.metadata.uid)
        else known.set(event.object.metadata.uid, event.object)
        see(event.object, isGone)
      }
    } catch {
      if (!signal.aborted) await sleep(200)
    }
  }
}

export async function* lines(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = parts.pop() ?? ''
    yield* parts
  }
}
