/** Before the scenario: namespaces and the operator by its chart. After it: everything away that was brought. */
import { join } from 'node:path'
import { namespaceOf } from '../cluster/manifests.ts'
import type { Kube } from '../cluster/kube.ts'
import { NAMESPACE, OPERATOR_NAMESPACE, RELEASE } from '../names.ts'
import { attempt, run } from '../process.ts'
import type { Report } from '../report.ts'
import type { ScenarioOptions } from './context.ts'

const CRD = 'raftclusters.raftkv.dev'

export async function install(report: Report, kube: Kube, options: ScenarioOptions): Promise<void> {
  await report.step('helm install the operator', async () => {
    for (const name of [OPERATOR_NAMESPACE, NAMESPACE]) {
      if ((await kube.get(`/api/v1/namespaces/${name}`)) !== undefined) {
        throw new Error(`namespace ${name} is there already: left by another run? Delete it, then run this again`)
      }
      await kube.kubectl(['apply', '-f', '-'], { input: namespaceOf(name) })
    }
    const [repository, tag] = splitImage(options.image)
    const chart = join(options.root, 'charts', 'raftkv-operator')
    const values = ['--set', `image.repository=${repository}`, '--set-string', `image.tag=${tag}`]
    const where = ['--namespace', OPERATOR_NAMESPACE, '--wait', '--timeout', '2m']
    await run(['helm', 'install', RELEASE, chart, ...values, ...where], { env: kube.env })
  })
  await report.step('helm test the operator', async () => {
    await run(['helm', 'test', RELEASE, '--namespace', OPERATOR_NAMESPACE, '--timeout', '1m'], { env: kube.env })
  })
}

export async function uninstall(report: Report, kube: Kube): Promise<void> {
  await report.step('helm uninstall the operator; the CRD stays', async () => {
    await run(['helm', 'uninstall', RELEASE, '--namespace', OPERATOR_NAMESPACE, '--wait'], { env: kube.env })
    const crd = await kube.get(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${CRD}`)
    if (crd === undefined)
      throw new Error('the CRD went with the release, and every RaftCluster would have gone with it')
  })
}

/** On a cluster that outlives the run: all that it brought, whatever became of it. */
export async function removeAll(kube: Kube, trials: readonly string[]): Promise<void> {
  const { env } = kube
  // While the operator is there to let go of what is in them.
  await attempt(['kubectl', 'delete', 'namespace', ...trials, '--ignore-not-found', '--timeout=90s'], { env })
  await attempt(['kubectl', '-n', NAMESPACE, 'delete', 'raftclusters', '--all', '--timeout=60s'], { env })
  await attempt(['helm', 'uninstall', RELEASE, '--namespace', OPERATOR_NAMESPACE, '--ignore-not-found'], { env })
  await attempt(['kubectl', 'delete', 'namespace', NAMESPACE, OPERATOR_NAMESPACE, '--ignore-not-found'], { env })
}

export function splitImage(image: string): [repository: string, tag: string] {
  const colon = image.lastIndexOf(':')
  return colon > image.lastIndexOf('/') ? [image.slice(0, colon), image.slice(colon + 1)] : [image, 'latest']
}
