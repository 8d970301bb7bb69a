/**
 * Where the sandbox answers otherwise than the real API server: by case, the field, and why nobody minds. All below the field
 * is covered. One that no longer differs fails the run, so this list is never longer than the truth.
 */
export const DIFFERENCES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'discovery of our group': {
    '1.body.resources.0.storageVersionHash': 'a number that only the storage migrator reads',
  },
  'OpenAPI v3': {
    '1.settled.schema.properties.apiVersion.description': 'the fields that every object has are not described',
    '1.settled.schema.properties.kind.description': 'the fields that every object has are not described',
    '1.settled.schema.properties.metadata.description': 'the fields that every object has are not described',
    '1.settled.schema.properties.metadata.type': 'said beside the reference to its schema',
  },
  'access: a role allows its verbs, resources and names, in its namespace': {
    '8.body.metadata.managedFields': 'an answer that is not stored has owners of its fields',
    '8.body.status.reason': 'what is allowed is not explained',
    '9.body.metadata.managedFields': 'an answer that is not stored has owners of its fields',
  },
  'what is not there': {
    '0.body': 'a Status in JSON where the real one writes text: clients look at the code 404',
  },
  'bodies that cannot be read': {
    '1.body.message': 'refused with the same code, in other words',
    '2.body.message': 'refused with the same code, in other words',
  },
  'names that are none': {
    '3.body.message': 'refused with the same code, in other words',
    '3.body.details.causes': 'refused with the same code, in other words',
  },
  'refused: a fraction': {
    '0.body.message': 'names of Go types and fields stand in the message',
    '0.body.details.causes': 'names of Go types and fields stand in the message',
  },
  'apply: what is wrong with the request': {
    '2.body.message': 'refused with the same code, in other words',
  },
  'apply: a value of the wrong type, and a field that is none': {
    '5.body.message': 'names of Go types stand in the message',
  },
  'objects in protobuf, as kubectl sends them': {
    '0.body.metadata.managedFields': 'an empty object that was defaulted is owned',
    '9.body.metadata.managedFields': 'an answer that is not stored has owners of its fields',
  },
  'bodies in protobuf that cannot be taken': {
    '0.body.message': 'refused with the same code, in other words',
    '1.body.message': 'refused with the same code, in other words',
    '2.body.message': 'refused with the same code, in other words',
  },
  'delete with a finalizer': {
    '3.body.details.causes': 'the real one says it twice',
  },
  'label selectors': {
    '6.body.message': 'refused with the same code, in other words',
    '7.body.message': 'refused with the same code, in other words',
  },
  'field selectors': {
    '3.body.message': 'refused with the same code, in other words',
  },
  pages: {
    '5.body.message': 'refused with the same code, in other words',
  },
  'versions of lists': {
    '3.body.message': 'refused with the same code, in other words',
  },
  'tables and metadata': {
    '3.body.columnDefinitions': 'columns have no descriptions',
    '4.body.columnDefinitions': 'columns have no descriptions',
    '5.body.columnDefinitions': 'columns have no descriptions',
  },
  'a StatefulSet: what may change, and what may not': {
    '6.body.message': 'names the first thing that is wrong and not what follows from it',
    '6.body.details.causes': 'names the first thing that is wrong and not what follows from it',
  },
  Services: {
    '2.body.message': 'knows IPv4 only',
    '2.body.details.causes': 'knows IPv4 only',
    '4.body.message': 'names the first thing that is wrong and not what follows from it',
    '4.body.details.causes': 'names the first thing that is wrong and not what follows from it',
  },
  'a Pod gets its defaults': {
    '1.body.message': 'the real one adds a comparison of Go structs to the message',
    '1.body.details.causes': 'the real one adds a comparison of Go structs to the message',
  },
  'a Pod that no node has is deleted at once': {
    '1.body.metadata': 'answers with the object as it was before the deletion',
  },
  claims: {
    '1.body.message': 'the real one adds a comparison of Go structs to the message',
    '1.body.details.causes': 'the real one adds a comparison of Go structs to the message',
  },
  'a PodDisruptionBudget and an eviction': {
    '1.body.message': 'names of Go types and fields stand in the message',
    '1.body.details.causes': 'names of Go types and fields stand in the message',
  },
  events: {
    '0.body.metadata.managedFields': 'ownership is noted in the fields of the core group',
    '1.body.metadata.managedFields': 'ownership is noted in the fields of the core group',
    '2.body.metadata.managedFields': 'ownership is noted in the fields of the core group',
    '3.body.metadata.managedFields': 'ownership is noted in the fields of the core group',
    '4.body.columnDefinitions': 'columns have no descriptions',
    '4.body.rows.0.object.metadata.managedFields': 'ownership is noted in the fields of the core group',
  },
  'a namespace': {
    '0.body.metadata.managedFields':
      'an empty object that was defaulted is owned; a namespace gets a grace period of 0',
    '1.body.metadata': 'an empty object that was defaulted is owned; a namespace gets a grace period of 0',
  },
}
