/**
 * What a bug report needs, without secrets: no Secret is read, and the values of environment variables, which may be some,
 * are taken out of whatever names them.
 */
import type { Kubectl } from './kubectl.ts'
import { KubectlFailed } from './kubectl.ts'

export interface ReportFile {
  readonly name: string
  readonly text: string
}

const LOG_LINES = 5000

export async function reportFiles(kubectl: Kubectl, cluster: string): Promise<readonly ReportFile[]> {
  const selector = `--selector=raftkv.dev/cluster=${cluster}`
  const objects = async (name: string, args: readonly string[]): Promise<ReportFile> => ({
    name,
    text: await orComplaint(async () => {
      const text = await kubectl.text(['get', ...args, '--output=json'])
      return `${JSON.stringify(withoutValues(JSON.parse(text)), undefined, 2)}\n`
    }),
  })
  const files = [
    await objects('raftcluster.json', ['raftcluster', cluster]),
    await objects('objects.json', ['statefulsets,services,poddisruptionbudgets,pods,persistentvolumeclaims', selector]),
    {
      name: 'events.txt',
      text: await orComplaint(() => kubectl.text(['get', 'events', '--sort-by=.lastTimestamp'])),
    },
    { name: 'version.txt', text: await orComplaint(() => kubectl.text(['version'])) },
  ]
  const pods = await orComplaint(() => kubectl.text(['get', 'pods', selector, '--output=name']))
  for (const pod of pods.split('\n').filter((line) => line.startsWith('pod/'))) {
    const name = pod.slice('pod/'.length)
    for (const previous of [false, true]) {
      const args = ['logs', pod, `--tail=${LOG_LINES}`, '--all-containers', ...(previous ? ['--previous'] : [])]
      const file = `logs/${name}${previous ? '.previous' : ''}.txt`
      files.push({ name: file, text: await orComplaint(() => kubectl.text(args)) })
    }
  }
  return files
}

/** The error stands in the place of what could not be read. */
async function orComplaint(read: () => Promise<string>): Promise<string> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof KubectlFailed) return `not to be had: ${error.message}\n`
    throw error
  }
}

/** Of all lists called `env`, and of what `kubectl apply` remembers, which is the object once more. */
export function withoutValues(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) {
    if (key !== 'env') return value.map((each) => withoutValues(each))
    return value.map((variable: unknown) =>
      typeof variable === 'object' && variable !== null && 'value' in variable
        ? { ...variable, value: '(taken out)' }
        : variable,
    )
  }
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, field]): [string, unknown][] =>
      name === 'kubectl.kubernetes.io/last-applied-configuration' || name === 'managedFields'
        ? []
        : [[name, withoutValues(field, name)]],
    ),
  )
}
