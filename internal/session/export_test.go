package session

// RunModel is one run of the model on another store.
var RunModel = runModel
