/** Runs etcdctl against a cluster: through a port-forward, with the certificates that the operator made for applications. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { KubectlFailed, type Kubectl } from './kubectl.ts'

const CLIENT_PORT = 2379
const FORWARD_TIMEOUT_MS = 15_000

const ClientSecret = z.object({
  data: z.object({ 'ca.crt': z.string(), 'tls.crt': z.string(), 'tls.key': z.string() }),
})

/** Its exit code. */
export async function runEtcdctl(kubectl: Kubectl, cluster: string, args: readonly string[]): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'kubectl-raft-'))
  const forward = kubectl.start(['port-forward', `service/${cluster}-client`, `:${CLIENT_PORT}`, '--address=127.0.0.1'])
  try {
    const [port, tls] = await Promise.all([forwardedPort(forward), certificates(kubectl, cluster, directory)])
    const env = {
      ...process.env,
      ETCDCTL_ENDPOINTS: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
      ...tls,
    }
    const child = spawn('etcdctl', args, { stdio: 'inherit', env })
    const [code] = (await once(child, 'close')) as [number | null]
    return code ?? 1
  } finally {
    forward.kill()
    await rm(directory, { recursive: true, force: true })
  }
}

/** kubectl says which port it took. */
async function forwardedPort(forward: ReturnType<Kubectl['start']>): Promise<number> {
  let said = ''
  const port = Promise.withResolvers<number>()
  const timer = setTimeout(
    () => port.reject(new KubectlFailed('kubectl port-forward does not begin')),
    FORWARD_TIMEOUT_MS,
  )
  forward.stdout?.setEncoding('utf8').on('data', (text: string) => {
    said += text
    const [, number] = /Forwarding from 127\.0\.0\.1:(\d+)/.exec(said) ?? []
    if (number !== undefined) port.resolve(Number(number))
  })
  forward.once('error', (error) => port.reject(new KubectlFailed(`kubectl cannot be run: ${error.message}`)))
  forward.once('close', () => port.reject(new KubectlFailed('kubectl port-forward has ended')))
  return port.promise.finally(() => clearTimeout(timer))
}

/** Undefined: the cluster has no TLS. The files are gone when the command ends. */
async function certificates(
  kubectl: Kubectl,
  cluster: string,
  directory: string,
): Promise<Readonly<Record<string, string>> | undefined> {
  const text = await kubectl.text(['get', 'secret', `${cluster}-client-tls`, '--ignore-not-found', '--output=json'])
  if (text.trim() === '') return undefined
  const { data } = ClientSecret.parse(JSON.parse(text))
  const file = async (name: keyof typeof data): Promise<string> => {
    const path = join(directory, name)
    await writeFile(path, Buffer.from(data[name], 'base64'), { mode: 0o600 })
    return path
  }
  return {
    ETCDCTL_CACERT: await file('ca.crt'),
    ETCDCTL_CERT: await file('tls.crt'),
    ETCDCTL_KEY: await file('tls.key'),
  }
}
