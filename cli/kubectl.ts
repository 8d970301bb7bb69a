/** kubectl does the talking: it knows the clusters, the users and the ways to log in that its own configuration has. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** The flags that say where. */
export interface Target {
  readonly namespace?: string
  readonly context?: string
  readonly kubeconfig?: string
}

export interface Kubectl {
  /** What it prints. Rejects with {@link KubectlFailed}. */
  text(args: readonly string[], input?: string): Promise<string>
  /** Lets it speak to the terminal itself; resolves with its exit code. */
  show(args: readonly string[]): Promise<number>
  /** For what goes on until it is killed. */
  start(args: readonly string[]): ChildProcess
}

export class KubectlFailed extends Error {
  override readonly name = 'KubectlFailed'
}

export function kubectlAt({ namespace, context, kubeconfig }: Target): Kubectl {
  const where = Object.entries({ namespace, context, kubeconfig }).flatMap(([flag, value]) =>
    value === undefined ? [] : [`--${flag}=${value}`],
  )
  return {
    async text(args, input) {
      const child = spawn('kubectl', [...where, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
      let out = ''
      let complaint = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
      child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text))
      child.stdin.on('error', () => undefined) // it ended without reading; its exit code says why
      child.stdin.end(input)
      const code = await exitOf(child)
      if (code !== 0) throw new KubectlFailed(complaint.trim() || `kubectl ended with ${code}`)
      return out
    },
    show: (args) => exitOf(spawn('kubectl', [...where, ...args], { stdio: 'inherit' })),
    start: (args) => spawn('kubectl', [...where, ...args], { stdio: ['ignore', 'pipe', 'inherit'] }),
  }
}

async function exitOf(child: ChildProcess): Promise<number> {
  try {
    const [code] = (await once(child, 'close')) as [number | null]
    return code ?? 1
  } catch (error) {
    throw new KubectlFailed(`kubectl cannot be run: ${error instanceof Error ? error.message : String(error)}`)
  }
}
