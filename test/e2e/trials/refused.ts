/** The API server refuses pods: a quota, then a webhook whose service is away. */
import { CLUSTER } from '../names.ts'
import type { Place } from './place.ts'

/** Three members and the writers. */
const QUOTA = { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'few' }, spec: { hard: { pods: '4' } } }
/** The operator has the StatefulSet tried again every 15 seconds; by itself it would wait for minutes. */
const NOTICED_MS = 90_000

export async function refusedPods(place: Place): Promise<void> {
  await place.form({ replicas: 3 })
  await place.step('a quota stops the growth to 5: Degraded has its words, and the three serve', async () => {
    await place.kube.kubectl(['-n', place.namespace, 'apply', '-f', '-'], { input: JSON.stringify(QUOTA) })
    await place.scale(5)
    await place.untilCondition({ type: 'Degraded', status: 'True', reason: 'PodNotCreated', message: /exceeded quota/ })
    await place.untilEvent('Degraded', /exceeded quota/)
    await place.untilCondition({ type: 'Available', status: 'True' })
  })
  await place.step('the quota goes: the growth goes on without a hand', async () => {
    await place.kubectl('delete', 'resourcequota', QUOTA.metadata.name)
    await within(NOTICED_MS, () => place.untilCondition({ type: 'Degraded', status: 'False' }))
    await place.untilReady()
  })
  const webhook = webhookOf(place.namespace)
  await place.step('a webhook that is away keeps a pod from coming back: Degraded names it', async () => {
    await place.kube.kubectl(['apply', '-f', '-'], { input: JSON.stringify(webhook) })
    await place.kubectl('delete', 'pod', `${CLUSTER}-1`, '--wait=false')
    const message = new RegExp(`${CLUSTER}-1.*${webhook.webhooks[0]?.name}`, 's')
    await place.untilCondition({ type: 'Degraded', status: 'True', reason: 'PodNotCreated', message })
    await place.untilCondition({ type: 'Available', status: 'True' })
  })
  await place.step('the webhook goes: the pod comes back without a hand', async () => {
    await place.kube.kubectl(['delete', 'validatingwebhookconfiguration', webhook.metadata.name])
    await within(NOTICED_MS, () => place.untilCondition({ type: 'Degraded', status: 'False' }))
    await place.untilReady()
  })
  await place.ledgerHolds()
}

function webhookOf(namespace: string) {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: namespace },
    webhooks: [
      {
        name: 'away.raftkv.dev',
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        failurePolicy: 'Fail',
        timeoutSeconds: 1,
        clientConfig: { service: { name: 'away', namespace } },
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
        rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
      },
    ],
  }
}

async function within(limitMs: number, work: () => Promise<unknown>): Promise<void> {
  const beganMs = performance.now()
  await work()
  const tookMs = performance.now() - beganMs
  if (tookMs > limitMs) throw new Error(`it took ${Math.round(tookMs / 1000)} s, not ${limitMs / 1000}`)
}
