/** An operator of one namespace, installed where an earlier release left the CRD, and a namespace that goes with both. */
import { join } from 'node:path'
import { CLUSTER } from '../names.ts'
import { run } from '../process.ts'
import { splitImage } from '../scenario/install.ts'
import type { Place } from './place.ts'

const RELEASE = 'own'
const SPEC = { replicas: 1, storage: { size: '1Gi', retention: { whenDeleted: 'Delete' } } } as const

export async function ownOperator(place: Place): Promise<void> {
  await place.step('helm install into a namespace that it watches alone; the CRD is there already', () =>
    install(place),
  )
  await place.form(SPEC)
  await place.ledgerHolds()
  await place.step('helm uninstall first, then the RaftCluster is deleted: its volumes go with it', async () => {
    await run(['helm', 'uninstall', RELEASE, '--namespace', place.namespace, '--wait'], { env: place.kube.env })
    await place.kubectl('delete', 'raftcluster', CLUSTER, '--timeout=60s')
    await place.until('pods and claims to go', async () => {
      const left = [...(await place.pods()), ...(await place.kube.list(place.paths.volumes))]
      return left.length === 0 ? true : undefined
    })
  })
  // What is left is the namespace with both in it: none of them may hold the other.
  await place.step('installed once more, with a cluster whose volumes are to go with it', async () => {
    await install(place)
    await place.apply(SPEC)
    await place.untilReady()
  })
}

async function install({ options, namespace, kube }: Place): Promise<void> {
  const [repository, tag] = splitImage(options.image)
  const chart = join(options.root, 'charts', 'raftkv-operator')
  const values = [`image.repository=${repository}`, `watch.namespaces={${namespace}}`].flatMap((value) => [
    '--set',
    value,
  ])
  const more = ['--set-string', `image.tag=${tag}`, '--namespace', namespace, '--wait', '--timeout', '2m']
  await run(['helm', 'install', RELEASE, chart, ...values, ...more], { env: kube.env })
}
