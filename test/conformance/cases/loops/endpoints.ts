import type { Case } from '../../case.ts'
import { at } from '../../objects.ts'
import { addNode, items, Place, POD_0, POD_1, SET } from './place.ts'

export const endpointCases: readonly Case[] = [
  {
    name: 'loops: endpoints of pods that are ready, and of those that are not where it is asked for',
    run: async (calls) => {
      await addNode(calls)
      const place = await Place.make(calls, 'loops-endpoints')
      for (const [name, publishNotReadyAddresses] of [
        ['ready-only', false],
        ['all', true],
      ] as const)
        // prettier-ignore
        await calls.ask({
          method: 'POST',
          path: place.core('services'),
          body: {
            apiVersion: 'v1',
            kind: 'Service',
            metadata: { name },
            spec: { clusterIP: 'None', publishNotReadyAddresses, selector: { app: SET }, ports: [{ port: 80, name: 'web' }] },
          },
        })
      await place.createSet({ replicas: 2 })
      await place.podsAre(POD_0, POD_1)
      await place.makeReady(POD_0, '10.0.0.1')
      const slices = (name: string): string =>
        `${place.group('discovery.k8s.io/v1', 'endpointslices')}?labelSelector=kubernetes.io%2Fservice-name%3D${name}`
      const view = (body: unknown): unknown =>
        items(body).map((each) => ({
          addressType: at(each, 'addressType'),
          endpoints: at(each, 'endpoints'),
          ports: at(each, 'ports'),
          owners: at(each, 'metadata', 'ownerReferences'),
        }))
      const has = (count: number) => (body: unknown): boolean => items(body).flatMap((each) => at(each, 'endpoints') ?? []).length === count // prettier-ignore
      await calls.settled({ path: slices('ready-only') }, has(1), view)
      await calls.settled({ path: slices('all') }, has(1), view)
    },
  },
]
