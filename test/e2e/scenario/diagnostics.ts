/** What there is to look at after a failure, in a folder of the cache. Never throws. */
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Kube } from '../cluster/kube.ts'
import { OPERATOR_NAMESPACE, RELEASE } from '../names.ts'
import { attempt } from '../process.ts'
import type { Report } from '../report.ts'
import { podLogs, type ScenarioOptions } from './context.ts'

const TELLING_LINES = 30

export async function collectDiagnostics(
  report: Report,
  kube: Kube,
  options: ScenarioOptions,
  namespaces: readonly string[],
): Promise<void> {
  const stamp = new Date().toISOString().replaceAll(':', '-').slice(0, 19)
  const folder = join(options.cache, 'failures', stamp)
  mkdirSync(folder, { recursive: true })
  const save = async (name: string, args: readonly string[]): Promise<string> => {
    const { stdout, stderr } = await attempt(['kubectl', ...args], { env: kube.env, timeoutMs: 30_000 })
    writeFileSync(join(folder, name), stdout + stderr)
    return stdout
  }
  const cluster = await save('raftcluster.yaml', ['get', 'raftclusters', '--all-namespaces', '-o', 'yaml'])
  for (const namespace of namespaces) {
    await save(`${namespace}.objects.txt`, ['-n', namespace, 'get', 'all,pvc,pdb,secret,sa,lease', '-o', 'wide'])
    await save(`${namespace}.describe.txt`, ['-n', namespace, 'describe', 'statefulsets,deployments,pods,pvc'])
    await save(`${namespace}.events.txt`, ['-n', namespace, 'get', 'events', '--sort-by=.lastTimestamp'])
    const pods = (await attempt(['kubectl', '-n', namespace, 'get', 'pods', '-o', 'name'], { env: kube.env })).stdout
    for (const pod of pods.split('\n').filter((name) => name !== '')) {
      const file = `${namespace}.${pod.replace('pod/', '')}`
      await save(`${file}.log`, ['-n', namespace, 'logs', pod, '--all-containers', '--tail=5000'])
      await save(`${file}.previous.log`, [
        '-n',
        namespace,
        'logs',
        pod,
        '--all-containers',
        '--previous',
        '--tail=5000',
      ])
    }
  }
  const selector = `app.kubernetes.io/instance=${RELEASE}`
  const args = ['-n', OPERATOR_NAMESPACE, 'logs', '-l', selector, `--tail=${TELLING_LINES}`]
  const operator = await save('operator-tail.log', args)
  for (const from of [podLogs(options), join(options.cache, 'box', 'logs')]) {
    if (existsSync(from)) cpSync(from, join(folder, basename(from)), { recursive: true })
  }
  report.note(`the operator said last:\n${operator.trimEnd()}`)
  report.note(`status of the RaftCluster:\n${cluster.slice(cluster.indexOf('\n  status:')).trimEnd()}`)
  report.note(`logs, events and descriptions are in ${folder}`)
}
