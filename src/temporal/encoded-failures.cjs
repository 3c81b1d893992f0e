// CommonJS: the SDK gets it with require(), which takes no ES module before Node 22.
const { DefaultFailureConverter } = require('@temporalio/common');

/** Messages and stack traces of failures become payloads, which the codec encrypts. */
exports.failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
