/** An operator of one namespace, installed where an earlier release left the CRD, and a namespace that goes with both. */
import { join } from 'node:path'
import { splitImage } from '../scenario/install.ts'
import { run } from '../process.ts'
import type { Place } from './place.ts'

const RELEASE = 'own'

export async function ownOperator(place: Place): Promise<void> {
  const { options, namespace } = place
  await place.step('helm install into a namespace that it watches alone; the CRD is there already', async () => {
    const [repository, tag] = splitImage(options.image)
    const chart = join(options.root, 'charts', 'raftkv-operator')
    const values = [`image.repository=${repository}`, `watch.namespaces={${namespace}}`].flatMap((value) => [
      '--set',
      value,
    ])
    const more = ['--set-string', `image.tag=${tag}`, '--namespace', namespace, '--wait', '--timeout', '2m']
    await run(['helm', 'install', RELEASE, chart, ...values, ...more], { env: place.kube.env })
  })
  await place.form({ replicas: 3 })
  await place.ledgerHolds()
}
